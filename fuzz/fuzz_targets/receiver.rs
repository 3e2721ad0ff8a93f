//! Checks that enrichment rejects a request, or changes nothing but the attributes of its
//! resources.
#![no_main]

use std::sync::LazyLock;

use insights_agent::sources::receiver::enrich::Enrichment;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Deserialize;

static ENRICHMENT: LazyLock<Enrichment> =
    LazyLock::new(|| Enrichment::from_attributes(vec![("host.name".to_owned(), "here".to_owned())]));

/// `remove_resources` removes what enrichment may change.
fn check<T>(json: bool, bytes: &[u8], mut remove_resources: impl FnMut(&mut T))
where
    T: Message + Default + for<'de> Deserialize<'de>,
{
    let (mut sent, wire) = if json {
        let Ok(request) = serde_json::from_slice::<T>(bytes) else { return };
        let wire = request.encode_to_vec();
        (request, wire)
    } else {
        let Ok(request) = T::decode(bytes) else { return };
        (request, bytes.to_vec())
    };
    let Ok(enriched) = ENRICHMENT.apply(&wire) else { return };
    let mut arrived = T::decode(enriched.as_slice()).expect("an enriched request can be decoded");
    remove_resources(&mut sent);
    remove_resources(&mut arrived);
    // Compared as bytes, because NaN is not equal to itself.
    assert_eq!(arrived.encode_to_vec(), sent.encode_to_vec());
    let twice = ENRICHMENT.apply(&enriched).expect("an enriched request can be enriched again");
    assert_eq!(twice, enriched, "the second enrichment adds nothing");
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (json, signal, bytes) = input;
    match signal % 3 {
        0 => check(json, bytes, |request: &mut ExportTraceServiceRequest| {
            request.resource_spans.iter_mut().for_each(|of| of.resource = None);
        }),
        1 => check(json, bytes, |request: &mut ExportMetricsServiceRequest| {
            request.resource_metrics.iter_mut().for_each(|of| of.resource = None);
        }),
        _ => check(json, bytes, |request: &mut ExportLogsServiceRequest| {
            request.resource_logs.iter_mut().for_each(|of| of.resource = None);
        }),
    }
});
