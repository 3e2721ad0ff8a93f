//! OTLP's JSON.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::*;
use crate::otlp::from_json::to_protobuf;
use crate::otlp::schema::request;
use crate::sources::receiver::prepare::LARGEST_DECODED;

fn pairs() -> Vec<KeyValue> {
    let values = [
        any_value::Value::StringValue("text".to_owned()),
        any_value::Value::BoolValue(false),
        any_value::Value::IntValue(i64::MIN),
        any_value::Value::DoubleValue(-0.5),
        any_value::Value::BytesValue(vec![0, 255, 62]),
        any_value::Value::ArrayValue(ArrayValue {
            values: vec![AnyValue { value: Some(any_value::Value::StringValue(String::new())) }],
        }),
        any_value::Value::KvlistValue(KeyValueList {
            values: vec![KeyValue {
                key: "in".to_owned(),
                value: Some(AnyValue { value: Some(any_value::Value::IntValue(0)) }),
                key_strindex: 0,
            }],
        }),
    ];
    let pair = |(number, value)| KeyValue {
        key: format!("key {number}"),
        value: Some(AnyValue { value: Some(value) }),
        key_strindex: 0,
    };
    values.into_iter().enumerate().map(pair).collect()
}

fn resource() -> ProtoResource {
    let entity = EntityRef {
        schema_url: "u".to_owned(),
        r#type: "host".to_owned(),
        id_keys: vec!["host.id".to_owned()],
        description_keys: vec!["a".to_owned(), "b".to_owned()],
    };
    ProtoResource { attributes: pairs(), dropped_attributes_count: 3, entity_refs: vec![entity] }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "scope".to_owned(),
        version: "1".to_owned(),
        attributes: pairs(),
        dropped_attributes_count: 1,
    }
}

// Every field is named, so that a new one does not compile until the table of the messages has it.
fn spans() -> ExportTraceServiceRequest {
    let event =
        Event { time_unix_nano: u64::MAX, name: "event".to_owned(), attributes: pairs(), dropped_attributes_count: 2 };
    let link = Link {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".to_owned(),
        attributes: pairs(),
        dropped_attributes_count: 1,
        flags: 257,
    };
    let span = Span {
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        trace_state: "c=d".to_owned(),
        parent_span_id: vec![9; 8],
        flags: u32::MAX,
        name: "näme \"quoted\"\n".to_owned(),
        kind: 3,
        start_time_unix_nano: 1,
        end_time_unix_nano: u64::MAX,
        attributes: pairs(),
        dropped_attributes_count: u32::MAX,
        events: vec![event],
        dropped_events_count: 1,
        links: vec![link],
        dropped_links_count: 2,
        status: Some(Status { message: "wrong".to_owned(), code: 2 }),
    };
    let of_scope = ScopeSpans { scope: Some(scope()), spans: vec![span], schema_url: "s".to_owned() };
    let of_resource =
        ResourceSpans { resource: Some(resource()), scope_spans: vec![of_scope], schema_url: "t".to_owned() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }
}

fn records() -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue("body".to_owned())) }),
        attributes: pairs(),
        dropped_attributes_count: 1,
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "event".to_owned(),
    };
    let of_scope = ScopeLogs { scope: Some(scope()), log_records: vec![record], schema_url: "s".to_owned() };
    let of_resource =
        ResourceLogs { resource: Some(resource()), scope_logs: vec![of_scope], schema_url: "t".to_owned() };
    ExportLogsServiceRequest { resource_logs: vec![of_resource] }
}

fn metrics() -> ExportMetricsServiceRequest {
    let exemplar = Exemplar {
        filtered_attributes: pairs(),
        time_unix_nano: 4,
        span_id: vec![2; 8],
        trace_id: vec![1; 16],
        value: Some(exemplar::Value::AsInt(-7)),
    };
    let number = NumberDataPoint {
        attributes: pairs(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: vec![exemplar.clone()],
        flags: 1,
        value: Some(number_data_point::Value::AsInt(i64::MIN)),
    };
    let double = NumberDataPoint { value: Some(number_data_point::Value::AsDouble(0.0)), ..number.clone() };
    let histogram = HistogramDataPoint {
        attributes: pairs(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(0.0),
        bucket_counts: vec![0, 1, u64::MAX],
        explicit_bounds: vec![0.0, 1.5],
        exemplars: vec![exemplar.clone()],
        flags: 1,
        min: Some(-1.0),
        max: Some(1e300),
    };
    let buckets = |offset| Buckets { offset, bucket_counts: vec![0, 1, u64::MAX] };
    let exponential = ExponentialHistogramDataPoint {
        attributes: pairs(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(f64::INFINITY),
        scale: -3,
        zero_count: 4,
        positive: Some(buckets(i32::MIN)),
        negative: Some(buckets(5)),
        flags: 1,
        exemplars: vec![exemplar],
        min: Some(1.0),
        max: None,
        zero_threshold: 1e-9,
    };
    let quantile = ValueAtQuantile { quantile: 0.5, value: f64::NEG_INFINITY };
    let summary = SummaryDataPoint {
        attributes: pairs(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 4.5,
        quantile_values: vec![quantile],
        flags: 1,
    };
    let metric = |data| Metric {
        name: "metric".to_owned(),
        description: "what".to_owned(),
        unit: "s".to_owned(),
        metadata: pairs(),
        data: Some(data),
    };
    let metrics = vec![
        metric(metric::Data::Gauge(Gauge { data_points: vec![number.clone()] })),
        metric(metric::Data::Sum(Sum { data_points: vec![double], aggregation_temporality: 2, is_monotonic: true })),
        metric(metric::Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 })),
        metric(metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 2,
        })),
        metric(metric::Data::Summary(Summary { data_points: vec![summary] })),
    ];
    let of_scope = ScopeMetrics { scope: Some(scope()), metrics, schema_url: "s".to_owned() };
    let of_resource =
        ResourceMetrics { resource: Some(resource()), scope_metrics: vec![of_scope], schema_url: "t".to_owned() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
}

/// That a request survives JSON, and is bounded by about what it takes.
fn check<T>(signal: Signal, sent: &T)
where
    T: Message + Default + PartialEq + serde::Serialize + std::fmt::Debug,
{
    let mut json = serde_json::to_value(sent).unwrap();
    // The library writes them so that ProtoJSON cannot read them.
    mend(&mut json);
    let (said, wire) = to_protobuf(json.to_string().as_bytes()).unwrap();
    assert_eq!(said, Some(signal));
    assert_eq!(&T::decode(wire.as_slice()).unwrap(), sent);
    let mut left = LARGEST_DECODED;
    assert!(request(signal).fits(&sent.encode_to_vec(), 0, &mut left).unwrap());
    assert!(LARGEST_DECODED - left > sent.encoded_len());
}

/// Infinite numbers, which serde's JSON writes as `null`.
fn mend(json: &mut Value) {
    match json {
        Value::Object(object) => {
            if object.contains_key("zeroThreshold") {
                object["sum"] = json!("Infinity");
            }
            object.values_mut().for_each(mend);
        }
        Value::Array(list) => list.iter_mut().for_each(mend),
        _ => {}
    }
}

/// Guarantees: every field of every message is what it was.
#[test]
fn every_field_is_read() {
    check(Signal::Traces, &spans());
    check(Signal::Logs, &records());
    check(Signal::Metrics, &metrics());
}

fn metric_of(data: &Value) -> Vec<u8> {
    let mut metric = json!({ "name": "m" });
    metric.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] }).to_string().into_bytes()
}

/// Guarantees: the forms that `ProtoJSON` leaves open are all taken: numbers as texts, numbers that are none, nothing at all, lists
/// without elements, keys of tomorrow.
#[test]
fn all_legal_forms_are_taken() {
    let point = json!({
        "count": "3", "sum": "NaN", "min": "-Infinity", "max": 1e3, "bucketCounts": ["1", 2, 0.0], "explicitBounds": ["1.5", 2],
        "attributes": [
            { "key": "list", "value": { "arrayValue": {} } }, { "key": "map", "value": { "kvlistValue": {} } },
            { "key": "text", "value": { "intValue": "-5", "ofTomorrow": { "a": [1] } } }, { "key": "none", "value": null },
            { "key": "bytes", "value": { "bytesValue": "_-8" } },
        ],
        "exemplars": null, "ofTomorrow": [{}],
    });
    let json = metric_of(&json!({ "histogram": { "dataPoints": [point] } }));
    let (signal, wire) = to_protobuf(&json).unwrap();
    assert_eq!(signal, Some(Signal::Metrics));
    let request = ExportMetricsServiceRequest::decode(wire.as_slice()).unwrap();
    let Some(metric::Data::Histogram(histogram)) = &request.resource_metrics[0].scope_metrics[0].metrics[0].data else {
        panic!("no histogram: {request:?}");
    };
    let point = &histogram.data_points[0];
    assert!(point.sum.unwrap().is_nan() && point.min == Some(f64::NEG_INFINITY) && point.max == Some(1000.0));
    assert_eq!(
        (point.count, &point.bucket_counts[..], &point.explicit_bounds[..]),
        (3, &[1, 2, 0][..], &[1.5, 2.0][..])
    );
    let value = |index: usize| point.attributes[index].value.clone().and_then(|value| value.value);
    assert_eq!(value(0), Some(any_value::Value::ArrayValue(ArrayValue::default())));
    assert_eq!(value(1), Some(any_value::Value::KvlistValue(KeyValueList::default())));
    assert_eq!(value(2), Some(any_value::Value::IntValue(-5)));
    assert_eq!(value(3), None);
    assert_eq!(value(4), Some(any_value::Value::BytesValue(vec![0xff, 0xef])));

    let gauge =
        metric_of(&json!({ "gauge": { "dataPoints": [{ "asInt": "-7" }, { "asInt": 7 }, { "asDouble": 1 }] } }));
    let request = ExportMetricsServiceRequest::decode(to_protobuf(&gauge).unwrap().1.as_slice()).unwrap();
    assert_eq!(crate::otlp::data_points(&request), 3);
    assert_eq!(to_protobuf(b"{}").unwrap(), (None, Vec::new()));
}

/// Guarantees: what is no value of its field is refused with a reason that names the field, and nothing of the request is kept;
/// never is it taken and lost.
#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let desk = Desk::usual();
    let point = |point: Value| metric_of(&json!({ "histogram": { "dataPoints": [point] } }));
    let gauge = |point: Value| metric_of(&json!({ "gauge": { "dataPoints": [point] } }));
    for (body, field) in [
        (point(json!({ "sum": "much" })), "sum"),
        (point(json!({ "count": -1 })), "count"),
        (point(json!({ "bucketCounts": [1e300] })), "bucketCounts"),
        (point(json!({ "bucketCounts": 7 })), "bucketCounts"),
        (gauge(json!({ "asInt": 1.5 })), "asInt"),
        (gauge(json!({ "asInt": "9223372036854775808" })), "asInt"),
        (gauge(json!({ "attributes": [{ "key": "a", "value": { "intValue": 1e300 } }] })), "intValue"),
        (gauge(json!({ "attributes": [{ "key": 1 }] })), "key"),
        (gauge(json!({ "exemplars": [{ "spanId": "xyz" }] })), "spanId"),
        (metric_of(&json!({ "gauge": [] })), "an object"),
        (trace(&[], &[json!({ "traceId": "0" })]), "traceId"),
        (trace(&[], &[json!({ "kind": "SPAN_KIND_SERVER" })]), "kind"),
        (br#"{"resourceSpans":[],"resourceLogs":[]}"#.to_vec(), "one signal"),
        (br#"{"resource_spans":[]}"#.to_vec(), "none of the keys"),
        (br#"{"resourceSpans":[]} {}"#.to_vec(), "trailing"),
    ] {
        let answer = desk.post("/v1/metrics", &["Content-Type: application/json"], &body).await;
        assert!(status_of(&answer) == "400" && answer.contains(field), "{}: {answer}", String::from_utf8_lossy(&body));
    }
    for signal in Signal::ALL {
        assert!(desk.queue.next(signal).await.is_none());
    }
    desk.end().await;
}

/// Guarantees: the body says of which signal it is, also where the path says something else: nothing is acknowledged and lost.
#[tokio::test]
async fn the_body_says_its_signal() {
    let desk = Desk::usual();
    let body = trace(&[], &[span("here", &[], 1, false)]);
    let answer = desk.post("/v1/metrics", &["Content-Type: application/json"], &body).await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    assert!(String::from_utf8_lossy(&desk.queued(Signal::Traces).await).contains("here"));
    let answer = desk.post("/anything", &["Content-Type: application/json"], b"{}").await;
    assert_eq!(status_of(&answer), "400", "of no signal at all: {answer}");
    desk.end().await;
}
