//! For any request: the receiver rejects it, or adds the agent's attributes to its resources and changes nothing else.
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
    LazyLock::new(|| Enrichment::of(vec![("host.name".to_owned(), "here".to_owned())]));

/// `scopes` takes the resources out of a request and leaves what has to stay.
fn check<T>(json: bool, bytes: &[u8], mut scopes: impl FnMut(&mut T))
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
    let mut arrived = T::decode(enriched.as_slice()).expect("what was enriched is a request");
    scopes(&mut sent);
    scopes(&mut arrived);
    // Compared as bytes: a number that is none equals no other.
    assert_eq!(arrived.encode_to_vec(), sent.encode_to_vec());
    let twice = ENRICHMENT.apply(&enriched).expect("what was enriched can be walked");
    assert_eq!(twice, enriched, "a second time adds nothing");
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
