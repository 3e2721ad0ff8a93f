//! The messages and fields of OTLP's three requests, as a table.
//!
//! The table has two uses: to calculate how much memory a request needs before it is decoded, and
//! to convert JSON to protobuf ([`super::from_json`]). Names and numbers are those of
//! opentelemetry-proto 1.10; a test compares them with the file descriptors of the crate.

use std::mem::size_of;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use self::Kind::{Base64, Bool, Double, Fixed32, Fixed64, Hex, Int32, Int64, Sfixed64, Sint32, Text, Uint32, Uint64};
use super::wire::{Fields, WireError};
use crate::otlp::Signal;

/// Field number of the resource in `ResourceLogs`, `ResourceMetrics` and `ResourceSpans`, and of
/// these in a request.
pub(crate) const RESOURCE_FIELD: u32 = 1;
/// Maximum nesting depth of messages: the limit of prost.
pub(crate) const MAX_DEPTH: usize = 100;

/// The type of a field, which determines its encoding in protobuf and JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// Bytes, as base64 in JSON.
    Base64,
    /// Bytes of an identifier, as hexadecimal in OTLP's JSON.
    Hex,
    Bool,
    /// Also for enumerations, which are numbers in OTLP's JSON.
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Message(&'static Message),
}

/// Whether a field with the default value is encoded, and whether it may occur several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The default value is not encoded, and equals a missing field.
    Implicit,
    /// A missing field differs from the default value.
    Explicit,
    Repeated,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// The name in JSON.
    pub(crate) key: &'static str,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
}

/// A message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// Size of the decoded struct in bytes, without the heap memory that it owns.
    size: usize,
    pub(crate) fields: &'static [Field],
}

impl Message {
    const fn new<T>(fields: &'static [Field]) -> Self {
        Self { size: size_of::<T>(), fields }
    }

    /// Subtracts the decoded size of a request from `budget`, and `added` bytes for each of its
    /// resources. Returns false if the budget is too small.
    ///
    /// # Errors
    /// When the bytes are not protobuf, or nested too deeply.
    pub(crate) fn charge(&self, wire: &[u8], added: usize, budget: &mut usize) -> Result<bool, WireError> {
        for field in Fields(wire) {
            let is_resource = field?.number == RESOURCE_FIELD;
            let Some(rest) = budget.checked_sub(if is_resource { added } else { 0 }) else { return Ok(false) };
            *budget = rest;
        }
        self.charge_at_depth(wire, budget, MAX_DEPTH)
    }

    /// `depth` is how many levels of messages may still follow, including this one.
    fn charge_at_depth(&self, wire: &[u8], budget: &mut usize, depth: usize) -> Result<bool, WireError> {
        let Some(depth) = depth.checked_sub(1) else { return Err(WireError::TooDeep) };
        for field in Fields(wire) {
            let field = field?;
            let Some(known) = self.fields.iter().find(|known| known.number == field.number) else { continue };
            let content = field.content.unwrap_or_default();
            let (size, message) = match known.kind {
                Kind::Message(message) => (message.size, Some(message)),
                // Packed varints: every byte may become a number of eight bytes.
                Uint64 => ((content.len() + 1) * size_of::<u64>(), None),
                Text if known.presence == Presence::Repeated => (size_of::<String>() + content.len(), None),
                _ => (content.len(), None),
            };
            let Some(rest) = budget.checked_sub(size) else { return Ok(false) };
            *budget = rest;
            if let Some(message) = message
                && !message.charge_at_depth(content, budget, depth)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns the request message of a signal.
pub(crate) const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Metrics => &METRICS,
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
    }
}

const fn singular(key: &'static str, number: u32, kind: Kind) -> Field {
    let presence = if matches!(kind, Kind::Message(_)) { Presence::Explicit } else { Presence::Implicit };
    Field { key, number, kind, presence }
}

/// A field for which a missing value differs from the default: `optional`, or a member of a
/// `oneof`.
const fn optional(key: &'static str, number: u32, kind: Kind) -> Field {
    Field { key, number, kind, presence: Presence::Explicit }
}

const fn repeated(key: &'static str, number: u32, kind: Kind) -> Field {
    Field { key, number, kind, presence: Presence::Repeated }
}

const fn message(key: &'static str, number: u32, of: &'static Message) -> Field {
    singular(key, number, Kind::Message(of))
}

const fn messages(key: &'static str, number: u32, of: &'static Message) -> Field {
    repeated(key, number, Kind::Message(of))
}

static METRICS: Message =
    Message::new::<ExportMetricsServiceRequest>(&[messages("resourceMetrics", 1, &RESOURCE_METRICS)]);
static TRACES: Message = Message::new::<ExportTraceServiceRequest>(&[messages("resourceSpans", 1, &RESOURCE_SPANS)]);
static LOGS: Message = Message::new::<ExportLogsServiceRequest>(&[messages("resourceLogs", 1, &RESOURCE_LOGS)]);

static RESOURCE_METRICS: Message = Message::new::<metrics::ResourceMetrics>(&[
    message("resource", 1, &RESOURCE),
    messages("scopeMetrics", 2, &SCOPE_METRICS),
    singular("schemaUrl", 3, Text),
]);
static RESOURCE_SPANS: Message = Message::new::<ResourceSpans>(&[
    message("resource", 1, &RESOURCE),
    messages("scopeSpans", 2, &SCOPE_SPANS),
    singular("schemaUrl", 3, Text),
]);
static RESOURCE_LOGS: Message = Message::new::<ResourceLogs>(&[
    message("resource", 1, &RESOURCE),
    messages("scopeLogs", 2, &SCOPE_LOGS),
    singular("schemaUrl", 3, Text),
]);
static RESOURCE: Message = Message::new::<Resource>(&[
    messages("attributes", 1, &KEY_VALUE),
    singular("droppedAttributesCount", 2, Uint32),
    messages("entityRefs", 3, &ENTITY_REF),
]);
static ENTITY_REF: Message = Message::new::<EntityRef>(&[
    singular("schemaUrl", 1, Text),
    singular("type", 2, Text),
    repeated("idKeys", 3, Text),
    repeated("descriptionKeys", 4, Text),
]);
static KEY_VALUE: Message = Message::new::<KeyValue>(&[
    singular("key", 1, Text),
    message("value", 2, &ANY_VALUE),
    singular("keyStrindex", 3, Int32),
]);
static ANY_VALUE: Message = Message::new::<AnyValue>(&[
    optional("stringValue", 1, Text),
    optional("boolValue", 2, Bool),
    optional("intValue", 3, Int64),
    optional("doubleValue", 4, Double),
    message("arrayValue", 5, &ARRAY_VALUE),
    message("kvlistValue", 6, &KEY_VALUE_LIST),
    optional("bytesValue", 7, Base64),
    optional("stringValueStrindex", 8, Int32),
]);
static ARRAY_VALUE: Message = Message::new::<ArrayValue>(&[messages("values", 1, &ANY_VALUE)]);
static KEY_VALUE_LIST: Message = Message::new::<KeyValueList>(&[messages("values", 1, &KEY_VALUE)]);
static SCOPE: Message = Message::new::<InstrumentationScope>(&[
    singular("name", 1, Text),
    singular("version", 2, Text),
    messages("attributes", 3, &KEY_VALUE),
    singular("droppedAttributesCount", 4, Uint32),
]);

static SCOPE_SPANS: Message = Message::new::<ScopeSpans>(&[
    message("scope", 1, &SCOPE),
    messages("spans", 2, &SPAN),
    singular("schemaUrl", 3, Text),
]);
static SPAN: Message = Message::new::<Span>(&[
    singular("traceId", 1, Hex),
    singular("spanId", 2, Hex),
    singular("traceState", 3, Text),
    singular("parentSpanId", 4, Hex),
    singular("name", 5, Text),
    singular("kind", 6, Int32),
    singular("startTimeUnixNano", 7, Fixed64),
    singular("endTimeUnixNano", 8, Fixed64),
    messages("attributes", 9, &KEY_VALUE),
    singular("droppedAttributesCount", 10, Uint32),
    messages("events", 11, &EVENT),
    singular("droppedEventsCount", 12, Uint32),
    messages("links", 13, &LINK),
    singular("droppedLinksCount", 14, Uint32),
    message("status", 15, &STATUS),
    singular("flags", 16, Fixed32),
]);
static EVENT: Message = Message::new::<Event>(&[
    singular("timeUnixNano", 1, Fixed64),
    singular("name", 2, Text),
    messages("attributes", 3, &KEY_VALUE),
    singular("droppedAttributesCount", 4, Uint32),
]);
static LINK: Message = Message::new::<Link>(&[
    singular("traceId", 1, Hex),
    singular("spanId", 2, Hex),
    singular("traceState", 3, Text),
    messages("attributes", 4, &KEY_VALUE),
    singular("droppedAttributesCount", 5, Uint32),
    singular("flags", 6, Fixed32),
]);
static STATUS: Message = Message::new::<Status>(&[singular("message", 2, Text), singular("code", 3, Int32)]);

static SCOPE_LOGS: Message = Message::new::<ScopeLogs>(&[
    message("scope", 1, &SCOPE),
    messages("logRecords", 2, &LOG_RECORD),
    singular("schemaUrl", 3, Text),
]);
static LOG_RECORD: Message = Message::new::<LogRecord>(&[
    singular("timeUnixNano", 1, Fixed64),
    singular("severityNumber", 2, Int32),
    singular("severityText", 3, Text),
    message("body", 5, &ANY_VALUE),
    messages("attributes", 6, &KEY_VALUE),
    singular("droppedAttributesCount", 7, Uint32),
    singular("flags", 8, Fixed32),
    singular("traceId", 9, Hex),
    singular("spanId", 10, Hex),
    singular("observedTimeUnixNano", 11, Fixed64),
    singular("eventName", 12, Text),
]);

static SCOPE_METRICS: Message = Message::new::<metrics::ScopeMetrics>(&[
    message("scope", 1, &SCOPE),
    messages("metrics", 2, &METRIC),
    singular("schemaUrl", 3, Text),
]);
static METRIC: Message = Message::new::<metrics::Metric>(&[
    singular("name", 1, Text),
    singular("description", 2, Text),
    singular("unit", 3, Text),
    message("gauge", 5, &GAUGE),
    message("sum", 7, &SUM),
    message("histogram", 9, &HISTOGRAM),
    message("exponentialHistogram", 10, &EXPONENTIAL_HISTOGRAM),
    message("summary", 11, &SUMMARY),
    messages("metadata", 12, &KEY_VALUE),
]);
static GAUGE: Message = Message::new::<metrics::Gauge>(&[messages("dataPoints", 1, &NUMBER)]);
static SUM: Message = Message::new::<metrics::Sum>(&[
    messages("dataPoints", 1, &NUMBER),
    singular("aggregationTemporality", 2, Int32),
    singular("isMonotonic", 3, Bool),
]);
static HISTOGRAM: Message = Message::new::<metrics::Histogram>(&[
    messages("dataPoints", 1, &HISTOGRAM_POINT),
    singular("aggregationTemporality", 2, Int32),
]);
static EXPONENTIAL_HISTOGRAM: Message = Message::new::<metrics::ExponentialHistogram>(&[
    messages("dataPoints", 1, &EXPONENTIAL_POINT),
    singular("aggregationTemporality", 2, Int32),
]);
static SUMMARY: Message = Message::new::<metrics::Summary>(&[messages("dataPoints", 1, &SUMMARY_POINT)]);
static NUMBER: Message = Message::new::<metrics::NumberDataPoint>(&[
    singular("startTimeUnixNano", 2, Fixed64),
    singular("timeUnixNano", 3, Fixed64),
    optional("asDouble", 4, Double),
    messages("exemplars", 5, &EXEMPLAR),
    optional("asInt", 6, Sfixed64),
    messages("attributes", 7, &KEY_VALUE),
    singular("flags", 8, Uint32),
]);
static HISTOGRAM_POINT: Message = Message::new::<metrics::HistogramDataPoint>(&[
    singular("startTimeUnixNano", 2, Fixed64),
    singular("timeUnixNano", 3, Fixed64),
    singular("count", 4, Fixed64),
    optional("sum", 5, Double),
    repeated("bucketCounts", 6, Fixed64),
    repeated("explicitBounds", 7, Double),
    messages("exemplars", 8, &EXEMPLAR),
    messages("attributes", 9, &KEY_VALUE),
    singular("flags", 10, Uint32),
    optional("min", 11, Double),
    optional("max", 12, Double),
]);
static EXPONENTIAL_POINT: Message = Message::new::<metrics::ExponentialHistogramDataPoint>(&[
    messages("attributes", 1, &KEY_VALUE),
    singular("startTimeUnixNano", 2, Fixed64),
    singular("timeUnixNano", 3, Fixed64),
    singular("count", 4, Fixed64),
    optional("sum", 5, Double),
    singular("scale", 6, Sint32),
    singular("zeroCount", 7, Fixed64),
    message("positive", 8, &BUCKETS),
    message("negative", 9, &BUCKETS),
    singular("flags", 10, Uint32),
    messages("exemplars", 11, &EXEMPLAR),
    optional("min", 12, Double),
    optional("max", 13, Double),
    singular("zeroThreshold", 14, Double),
]);
static BUCKETS: Message = Message::new::<metrics::exponential_histogram_data_point::Buckets>(&[
    singular("offset", 1, Sint32),
    repeated("bucketCounts", 2, Uint64),
]);
static SUMMARY_POINT: Message = Message::new::<metrics::SummaryDataPoint>(&[
    singular("startTimeUnixNano", 2, Fixed64),
    singular("timeUnixNano", 3, Fixed64),
    singular("count", 4, Fixed64),
    singular("sum", 5, Double),
    messages("quantileValues", 6, &QUANTILE),
    messages("attributes", 7, &KEY_VALUE),
    singular("flags", 8, Uint32),
]);
static QUANTILE: Message = Message::new::<metrics::summary_data_point::ValueAtQuantile>(&[
    singular("quantile", 1, Double),
    singular("value", 2, Double),
]);
static EXEMPLAR: Message = Message::new::<metrics::Exemplar>(&[
    singular("timeUnixNano", 2, Fixed64),
    optional("asDouble", 3, Double),
    singular("spanId", 4, Hex),
    singular("traceId", 5, Hex),
    optional("asInt", 6, Sfixed64),
    messages("filteredAttributes", 7, &KEY_VALUE),
]);

#[cfg(test)]
mod tests;
