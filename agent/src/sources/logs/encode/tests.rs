//! Scenario: batches of records, decoded with the generated types.
//!
//! Guarantees: every field arrives as it was pushed.

use std::collections::BTreeSet;

use super::*;
use crate::sources::logs::layout::{Header, Level};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

const OBSERVED: u64 = 1_795_418_290_999_000_000;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(bytes: &[u8]) -> Value {
    Value::StringValue(String::from_utf8_lossy(bytes).into_owned())
}

fn resource() -> Resource {
    Resource { attributes: vec![attribute("host.name", text(b"desk-7"))], ..Resource::default() }
}

/// Returns the record of a file `app.log` with the id `id`, in the generated types.
fn expected(outgoing: &OutgoingRecord<'_>) -> LogRecord {
    let OutgoingRecord { record, offset, time, .. } = *outgoing;
    let mut attributes = vec![
        attribute("log.file.name", text(b"applications/app.log")),
        attribute("ioconnect.env_region", text(b"DEMO-INTEROP.IO")),
        attribute("ioconnect.app.name", text(b"app")),
        attribute("log.record.uid", Value::StringValue(format!("id-{offset:016x}"))),
    ];
    let header = record.header;
    if let Some(category) = outgoing.category {
        attributes.push(attribute("ioconnect.log.category", text(category.as_bytes())));
    }
    if let Some(instance) = header.and_then(|header| header.instance) {
        attributes.push(attribute("ioconnect.instance.id", text(instance)));
    }
    if let Some(thread) = header.and_then(|header| header.thread) {
        let number = String::from_utf8_lossy(thread).parse::<u32>();
        attributes.push(match number {
            Ok(number) => attribute("thread.id", Value::IntValue(number.into())),
            Err(_) => attribute("thread.name", text(thread)),
        });
    }
    if let Some(exception) = outgoing.exception {
        attributes.push(attribute("exception.type", text(exception.kind.as_bytes())));
        attributes.push(attribute("exception.message", text(exception.message.as_bytes())));
        attributes.push(attribute("exception.stacktrace", text(exception.stacktrace.as_bytes())));
    }
    if record.continuation {
        attributes.push(attribute("ioconnect.log.continuation", Value::BoolValue(true)));
    }
    if record.cut {
        attributes.push(attribute("ioconnect.log.cut", Value::BoolValue(true)));
    }
    if record.unfinished {
        attributes.push(attribute("ioconnect.log.unfinished", Value::BoolValue(true)));
    }
    let level = header.and_then(|header| header.level);
    LogRecord {
        time_unix_nano: time.unwrap_or(0),
        observed_time_unix_nano: OBSERVED,
        severity_number: level.map_or(0, |level| level.severity as i32),
        severity_text: level.map_or(String::new(), |level| String::from_utf8_lossy(level.text).into_owned()),
        body: Some(AnyValue { value: Some(text(outgoing.message.as_bytes())) }),
        attributes,
        trace_id: outgoing.trace.map_or(Vec::new(), |trace| trace.trace_id.to_vec()),
        span_id: outgoing.trace.map_or(Vec::new(), |trace| trace.span_id.to_vec()),
        flags: outgoing.trace.map_or(0, |trace| trace.flags.into()),
        ..LogRecord::default()
    }
}

fn request(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope = InstrumentationScope {
        name: "insights-agent.logs".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let schema_url = names::SCHEMA_URL.to_owned();
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, schema_url: schema_url.clone() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: Some(resource()), scope_logs, schema_url }],
    }
}

fn batch() -> (LogBatch, FileOrigin) {
    let origin = FileOrigin::new("id", "applications/app.log", Some("DEMO-INTEROP.IO"), Some("app"));
    (LogBatch::new(&resource().encode_to_vec()), origin)
}

fn plain(message: &[u8]) -> Record<'_> {
    Record { start: 0, header: None, message, continuation: false, cut: false, unfinished: false }
}

fn outgoing<'a>(record: &'a Record<'a>, message: &'a str, time: Option<u64>) -> OutgoingRecord<'a> {
    OutgoingRecord {
        record,
        message,
        category: None,
        trace: None,
        exception: None,
        offset: 0,
        time,
        observed: OBSERVED,
    }
}

#[test]
fn empty_batch_yields_no_request() {
    let (mut batch, _) = batch();
    assert!(batch.is_empty() && batch.finish().is_none());
    assert_eq!(batch.len(), 0);
}

#[test]
fn batch_reports_record_count_and_time_range() {
    let (mut batch, origin) = batch();
    for time in [Some(50), None, Some(20)] {
        batch.push(&origin, &outgoing(&plain(b"text"), "text", time));
    }
    let length = batch.len();
    let encoded = batch.finish().unwrap();
    assert_eq!((encoded.items, encoded.oldest_unix_nano, encoded.newest_unix_nano), (3, 20, OBSERVED));
    assert!((length..length + 300).contains(&encoded.payload.len()));
}

#[test]
fn absent_file_attributes_are_omitted() {
    let (mut batch, _) = batch();
    let record = plain(b"");
    let empty = OutgoingRecord { offset: 255, ..outgoing(&record, "", None) };
    batch.push(&FileOrigin::new("id", "gw.log", None, None), &empty);
    let decoded = ExportLogsServiceRequest::decode(batch.finish().unwrap().payload).unwrap();
    let attributes = &decoded.resource_logs[0].scope_logs[0].log_records[0].attributes;
    let uid = Value::StringValue("id-00000000000000ff".to_owned());
    assert_eq!(*attributes, [attribute("log.file.name", text(b"gw.log")), attribute("log.record.uid", uid)]);
}

#[test]
fn sent_attributes_match_documented_ones() {
    let (mut batch, origin) = batch();
    for thread in [b"12".as_slice(), b"main"] {
        let header = Header {
            time: None,
            level: Level::known(b"INFO"),
            category: Some(b"c"),
            instance: Some(b"1_2"),
            thread: Some(thread),
            message_start: 0,
        };
        let record = Record { header: Some(header), continuation: true, cut: true, unfinished: true, ..plain(b"text") };
        let exception = Some(Exception { kind: "E", message: "m", stacktrace: "E: m" });
        batch.push(&origin, &OutgoingRecord { category: Some("c"), exception, ..outgoing(&record, "text", None) });
    }
    let decoded = ExportLogsServiceRequest::decode(batch.finish().unwrap().payload).unwrap();
    let records = &decoded.resource_logs[0].scope_logs[0].log_records;
    let sent: BTreeSet<&str> = records.iter().flat_map(|record| &record.attributes).map(|a| a.key.as_str()).collect();
    let documented: BTreeSet<&str> = names::LOG_ATTRIBUTES.iter().map(|attribute| attribute.name).collect();
    assert_eq!(sent, documented);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "\\PC{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        // Around every length at which the encoded length takes one byte more.
        (prop::sample::select(vec![100, 127, 128, 16_000, 16_383, 16_384, 262_144]), 0..300_usize, any::<u8>())
            .prop_map(|(length, more, byte)| vec![byte; length + more]),
    ]
}

type Text = Option<Vec<u8>>;

#[derive(Debug, Clone)]
struct Fields {
    header: Option<(Text, SeverityNumber, [Text; 3])>,
    message: Vec<u8>,
    flags: (bool, bool, bool),
    trace: Option<TraceContext>,
    exception: Option<[String; 3]>,
    offset: u64,
    time: Option<u64>,
}

fn fields() -> impl Strategy<Value = Fields> {
    let severity = prop::sample::select(vec![SeverityNumber::Unspecified, SeverityNumber::Info, SeverityNumber::Fatal]);
    let some = || prop::option::of(bytes());
    let thread = prop_oneof![some(), any::<u64>().prop_map(|number| Some(number.to_string().into_bytes()))];
    let header = (some(), severity, (some(), some(), thread).prop_map(|(a, b, c)| [a, b, c]));
    let trace = any::<([u8; 16], [u8; 8], u8)>().prop_map(|(trace_id, span_id, flags)| TraceContext {
        trace_id,
        span_id,
        flags,
    });
    let exception = prop::option::of(prop::array::uniform3("\\PC{1,200}"));
    let found = (prop::option::of(trace), exception);
    let rest = (any::<(bool, bool, bool)>(), any::<u64>(), prop::option::of(1..u64::MAX));
    (prop::option::of(header), bytes(), found, rest).prop_map(|(header, message, found, (flags, offset, time))| {
        Fields { header, message, flags, trace: found.0, exception: found.1, offset, time }
    })
}

proptest! {
    /// Any fields of any length, UTF-8 or not, are decoded as they were encoded.
    #[test]
    fn encoded_request_equals_prost_decoding(all in prop::collection::vec(fields(), 1..6)) {
        let (mut batch, origin) = batch();
        let mut log_records = Vec::new();
        for fields in &all {
            let header = fields.header.as_ref().map(|(level, severity, [category, instance, thread])| Header {
                time: None,
                level: level.as_deref().map(|text| Level { severity: *severity, text }),
                category: category.as_deref(),
                instance: instance.as_deref(),
                thread: thread.as_deref(),
                message_start: 0,
            });
            let (continuation, cut, unfinished) = fields.flags;
            let record = Record { start: 0, header, message: &fields.message, continuation, cut, unfinished };
            let [message, category] = [Some(record.message), header.and_then(|header| header.category)]
                .map(|bytes| bytes.map(String::from_utf8_lossy));
            let exception = fields.exception.as_ref();
            let outgoing = OutgoingRecord {
                category: category.as_deref(),
                trace: fields.trace,
                exception: exception.map(|[kind, message, stacktrace]| Exception { kind, message, stacktrace }),
                offset: fields.offset,
                ..outgoing(&record, message.as_deref().unwrap(), fields.time)
            };
            batch.push(&origin, &outgoing);
            log_records.push(expected(&outgoing));
        }
        let decoded = ExportLogsServiceRequest::decode(batch.finish().unwrap().payload).unwrap();
        prop_assert!(decoded == request(log_records));
    }
}
