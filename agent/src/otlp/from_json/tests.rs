//! Scenario: requests in the JSON of OTLP, with every field, in every legal form, and with invalid
//! values.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::{Value, json};

use super::{NO_SIGNAL, to_protobuf};
use crate::otlp::Signal;
use crate::otlp::schema::request;

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

fn resource() -> Resource {
    let entity = EntityRef {
        schema_url: "u".to_owned(),
        r#type: "host".to_owned(),
        id_keys: vec!["host.id".to_owned()],
        description_keys: vec!["a".to_owned(), "b".to_owned()],
    };
    Resource { attributes: pairs(), dropped_attributes_count: 3, entity_refs: vec![entity] }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "scope".to_owned(),
        version: "1".to_owned(),
        attributes: pairs(),
        dropped_attributes_count: 1,
    }
}

// These functions name every field, so that they do not compile when a message gets a new one.
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

/// Checks that a request survives JSON, and that its calculated size is not smaller than its
/// encoding.
fn check<T>(signal: Signal, sent: &T)
where
    T: Message + Default + PartialEq + serde::Serialize + std::fmt::Debug,
{
    const BUDGET: usize = 1 << 20;
    let mut json = serde_json::to_value(sent).unwrap();
    repair_infinity(&mut json);
    let (found, wire) = to_protobuf(json.to_string().as_bytes()).unwrap();
    assert_eq!(found, Some(signal));
    assert_eq!(&T::decode(wire.as_slice()).unwrap(), sent);
    let mut budget = BUDGET;
    assert!(request(signal).charge(&sent.encode_to_vec(), 0, &mut budget).unwrap());
    assert!(BUDGET - budget > sent.encoded_len());
}

/// Restores the infinite sum, which `serde_json` writes as `null`.
fn repair_infinity(json: &mut Value) {
    match json {
        Value::Object(object) => {
            if object.contains_key("zeroThreshold") {
                object["sum"] = json!("Infinity");
            }
            object.values_mut().for_each(repair_infinity);
        }
        Value::Array(list) => list.iter_mut().for_each(repair_infinity),
        _ => {}
    }
}

/// Guarantees: every field of every message has the same value after a conversion to JSON and back.
#[test]
fn every_field_survives_json() {
    check(Signal::Traces, &spans());
    check(Signal::Logs, &records());
    check(Signal::Metrics, &metrics());
}

/// Returns a request with one metric that has this data.
fn metric_request(data: &Value) -> Vec<u8> {
    let mut metric = json!({ "name": "m" });
    metric.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] }).to_string().into_bytes()
}

/// Guarantees: every form that `ProtoJSON` allows is accepted: numbers as strings, `NaN` and
/// infinity, `null`, empty lists, and unknown keys.
#[test]
fn every_legal_json_form_is_accepted() {
    let point = json!({
        "count": "3", "sum": "NaN", "min": "-Infinity", "max": 1e3, "bucketCounts": ["1", 2, 0.0], "explicitBounds": ["1.5", 2],
        "attributes": [
            { "key": "list", "value": { "arrayValue": {} } }, { "key": "map", "value": { "kvlistValue": {} } },
            { "key": "text", "value": { "intValue": "-5", "unknownKey": { "a": [1] } } }, { "key": "none", "value": null },
            { "key": "bytes", "value": { "bytesValue": "_-8" } },
        ],
        "exemplars": null, "unknownKey": [{}],
    });
    let json = metric_request(&json!({ "histogram": { "dataPoints": [point] } }));
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
        metric_request(&json!({ "gauge": { "dataPoints": [{ "asInt": "-7" }, { "asInt": 7 }, { "asDouble": 1 }] } }));
    let request = ExportMetricsServiceRequest::decode(to_protobuf(&gauge).unwrap().1.as_slice()).unwrap();
    assert_eq!(crate::otlp::data_points(&request), 3);
    assert_eq!(to_protobuf(b"{}").unwrap(), (None, Vec::new()));
}

/// Guarantees: a value that does not fit its field is an error that names the field, so that a
/// request is never accepted and partly lost.
#[test]
fn invalid_json_values_are_errors_with_field_name() {
    let point = |point: Value| metric_request(&json!({ "histogram": { "dataPoints": [point] } }));
    let gauge = |point: Value| metric_request(&json!({ "gauge": { "dataPoints": [point] } }));
    let span =
        |span: Value| json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string().into_bytes();
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
        (metric_request(&json!({ "gauge": [] })), "an object"),
        (span(json!({ "traceId": "0" })), "traceId"),
        (span(json!({ "kind": "SPAN_KIND_SERVER" })), "kind"),
        (br#"{"resourceSpans":[],"resourceLogs":[]}"#.to_vec(), "one signal"),
        (br#"{"resource_spans":[]}"#.to_vec(), NO_SIGNAL),
        (br#"{"resourceSpans":[]} {}"#.to_vec(), "trailing"),
    ] {
        let error = to_protobuf(&body).unwrap_err().to_string();
        assert!(error.contains(field), "{}: {error}", String::from_utf8_lossy(&body));
    }
}
