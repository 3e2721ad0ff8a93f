//! Renders requests for programs: one line with a JSON object for each log record, span and data
//! point.
//!
//! - Names are those of OTLP's protobuf fields.
//! - Times are nanoseconds as strings, because JSON numbers are not precise enough for them.
//! - Bytes and identifiers are hexadecimal.
//! - Numbers that JSON does not have are the strings `NaN`, `Infinity` and `-Infinity`.
//! - Missing fields of a metric or span are omitted.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Request;
use crate::otlp::Signal;

/// Prints every item of a request.
pub(crate) fn request(request: &Request, print: &mut dyn FnMut(&str)) {
    let signal = request.signal();
    match request {
        Request::Metrics(request) => {
            for from in &request.resource_metrics {
                let resource = resource(from.resource.as_ref());
                for scope in &from.scope_metrics {
                    let mut line = line(signal, &resource, scope.scope.as_ref(), print);
                    scope.metrics.iter().for_each(|metric| points(metric, &mut line));
                }
            }
        }
        Request::Traces(request) => {
            for from in &request.resource_spans {
                let resource = resource(from.resource.as_ref());
                for scope in &from.scope_spans {
                    let mut line = line(signal, &resource, scope.scope.as_ref(), print);
                    scope.spans.iter().for_each(|one| line(span(one)));
                }
            }
        }
        Request::Logs(request) => {
            for from in &request.resource_logs {
                let resource = resource(from.resource.as_ref());
                for scope in &from.scope_logs {
                    let mut line = line(signal, &resource, scope.scope.as_ref(), print);
                    scope.log_records.iter().for_each(|record| line(log(record)));
                }
            }
        }
    }
}

/// Converts a value to JSON.
pub(crate) fn any(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        // This is an index into a table that only profiles have.
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::BoolValue(value)) => (*value).into(),
        Some(Any::IntValue(value)) => (*value).into(),
        Some(Any::DoubleValue(value)) => double(*value),
        Some(Any::ArrayValue(array)) => array.values.iter().map(|value| any(Some(value))).collect(),
        Some(Any::KvlistValue(list)) => attributes(&list.values).into(),
        Some(Any::BytesValue(bytes)) => const_hex::encode(bytes).into(),
    }
}

/// Converts attributes to an object.
fn attributes(list: &[KeyValue]) -> Map<String, Value> {
    list.iter().map(|one| (one.key.clone(), any(one.value.as_ref()))).collect()
}

fn resource(resource: Option<&Resource>) -> Map<String, Value> {
    resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default()
}

#[derive(Serialize)]
struct Item<'a> {
    signal: Signal,
    resource: &'a Map<String, Value>,
    scope: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Returns a function that prints the items of one scope.
fn line<'a>(
    signal: Signal,
    resource: &'a Map<String, Value>,
    scope: Option<&'a InstrumentationScope>,
    print: &'a mut dyn FnMut(&str),
) -> impl FnMut(Map<String, Value>) + 'a {
    let scope = scope.map_or("", |scope| &scope.name);
    move |fields| {
        // invariant: an object whose keys are strings can always be serialised
        if let Ok(line) = serde_json::to_string(&Item { signal, resource, scope, fields }) {
            print(&line);
        }
    }
}

/// Returns the fields whose value is not null.
fn fields<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    let present = all.into_iter().filter(|(_, value)| !value.is_null());
    present.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn log(record: &LogRecord) -> Map<String, Value> {
    let mut out = fields([
        ("time_unix_nano", record.time_unix_nano.to_string().into()),
        ("observed_time_unix_nano", record.observed_time_unix_nano.to_string().into()),
        ("severity_number", record.severity_number.into()),
        ("severity_text", record.severity_text.as_str().into()),
    ]);
    out.insert("body".to_owned(), any(record.body.as_ref()));
    out.extend(fields([
        ("attributes", attributes(&record.attributes).into()),
        ("event_name", non_empty(&record.event_name)),
        ("trace_id", non_empty(&const_hex::encode(&record.trace_id))),
        ("span_id", non_empty(&const_hex::encode(&record.span_id))),
    ]));
    out
}

fn span(span: &Span) -> Map<String, Value> {
    let status = span.status.as_ref();
    let events = span.events.iter().map(|event| {
        json!({
            "time_unix_nano": event.time_unix_nano.to_string(),
            "name": event.name,
            "attributes": attributes(&event.attributes),
        })
    });
    let links = span.links.iter().map(|link| {
        json!({
            "trace_id": const_hex::encode(&link.trace_id),
            "span_id": const_hex::encode(&link.span_id),
            "attributes": attributes(&link.attributes),
        })
    });
    let kind = match span.kind() {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    };
    fields([
        ("name", span.name.as_str().into()),
        ("kind", kind.into()),
        ("trace_id", const_hex::encode(&span.trace_id).into()),
        ("span_id", const_hex::encode(&span.span_id).into()),
        ("parent_span_id", non_empty(&const_hex::encode(&span.parent_span_id))),
        ("start_time_unix_nano", span.start_time_unix_nano.to_string().into()),
        ("end_time_unix_nano", span.end_time_unix_nano.to_string().into()),
        ("status", status_name(status.map_or(StatusCode::Unset, Status::code)).into()),
        ("status_message", status.map_or(Value::Null, |status| non_empty(&status.message))),
        ("attributes", attributes(&span.attributes).into()),
        ("events", events.collect()),
        ("links", links.collect()),
    ])
}

/// Returns the status of a span as a word.
pub(crate) const fn status_name(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}

/// Prints every data point of a metric.
fn points(metric: &Metric, line: &mut impl FnMut(Map<String, Value>)) {
    let mut point = |kind: &str, monotonic: Option<bool>, temporality: Option<i32>, own: Map<String, Value>| {
        let temporality = temporality.map(|number| match AggregationTemporality::try_from(number) {
            Ok(AggregationTemporality::Delta) => "delta",
            Ok(AggregationTemporality::Cumulative) => "cumulative",
            Ok(AggregationTemporality::Unspecified) | Err(_) => "unspecified",
        });
        let mut all = fields([
            ("name", metric.name.as_str().into()),
            ("unit", metric.unit.as_str().into()),
            ("description", metric.description.as_str().into()),
            ("type", kind.into()),
            ("monotonic", monotonic.into()),
            ("temporality", temporality.into()),
        ]);
        all.extend(own);
        line(all);
    };
    match &metric.data {
        None => {}
        Some(Data::Gauge(data)) => data.data_points.iter().for_each(|one| point("gauge", None, None, number(one))),
        Some(Data::Sum(data)) => {
            for one in &data.data_points {
                point("sum", Some(data.is_monotonic), Some(data.aggregation_temporality), number(one));
            }
        }
        Some(Data::Histogram(data)) => {
            for one in &data.data_points {
                let own = fields([
                    ("count", one.count.into()),
                    ("sum", one.sum.map_or(Value::Null, double)),
                    ("min", one.min.map_or(Value::Null, double)),
                    ("max", one.max.map_or(Value::Null, double)),
                    ("explicit_bounds", one.explicit_bounds.iter().copied().map(double).collect()),
                    ("bucket_counts", one.bucket_counts.clone().into()),
                    ("start_time_unix_nano", one.start_time_unix_nano.to_string().into()),
                    ("time_unix_nano", one.time_unix_nano.to_string().into()),
                    ("attributes", attributes(&one.attributes).into()),
                ]);
                point("histogram", None, Some(data.aggregation_temporality), own);
            }
        }
        Some(Data::ExponentialHistogram(data)) => {
            for one in &data.data_points {
                let own = fields([
                    ("count", one.count.into()),
                    ("sum", one.sum.map_or(Value::Null, double)),
                    ("min", one.min.map_or(Value::Null, double)),
                    ("max", one.max.map_or(Value::Null, double)),
                    ("scale", one.scale.into()),
                    ("zero_count", one.zero_count.into()),
                    ("positive", buckets(one.positive.as_ref())),
                    ("negative", buckets(one.negative.as_ref())),
                    ("start_time_unix_nano", one.start_time_unix_nano.to_string().into()),
                    ("time_unix_nano", one.time_unix_nano.to_string().into()),
                    ("attributes", attributes(&one.attributes).into()),
                ]);
                point("exponential_histogram", None, Some(data.aggregation_temporality), own);
            }
        }
        Some(Data::Summary(data)) => {
            for one in &data.data_points {
                let quantiles = one.quantile_values.iter();
                let own = fields([
                    ("count", one.count.into()),
                    ("sum", double(one.sum)),
                    (
                        "quantiles",
                        quantiles.map(|q| json!({"quantile": q.quantile, "value": double(q.value)})).collect(),
                    ),
                    ("start_time_unix_nano", one.start_time_unix_nano.to_string().into()),
                    ("time_unix_nano", one.time_unix_nano.to_string().into()),
                    ("attributes", attributes(&one.attributes).into()),
                ]);
                point("summary", None, None, own);
            }
        }
    }
}

fn number(point: &NumberDataPoint) -> Map<String, Value> {
    let value = match point.value {
        Some(Number::AsInt(value)) => value.into(),
        Some(Number::AsDouble(value)) => double(value),
        None => Value::Null,
    };
    fields([
        ("value", value),
        ("start_time_unix_nano", point.start_time_unix_nano.to_string().into()),
        ("time_unix_nano", point.time_unix_nano.to_string().into()),
        ("attributes", attributes(&point.attributes).into()),
    ])
}

fn buckets(buckets: Option<&Buckets>) -> Value {
    buckets.map_or(Value::Null, |one| json!({"offset": one.offset, "bucket_counts": one.bucket_counts}))
}

fn double(value: f64) -> Value {
    if value.is_finite() {
        value.into()
    } else if value.is_nan() {
        "NaN".into()
    } else {
        (if value > 0.0 { "Infinity" } else { "-Infinity" }).into()
    }
}

/// Returns a text, or null if it is empty.
fn non_empty(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}
