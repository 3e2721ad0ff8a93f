//! Scenario: the table of messages is compared with the file descriptors that opentelemetry-proto
//! ships, which are compiled from the same .proto files as its types.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::*;

/// Adds a message and the messages that are declared in it, by their full name.
fn collect(scope: &str, message: &DescriptorProto, all: &mut BTreeMap<String, DescriptorProto>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, all);
    }
    all.insert(name, message.clone());
}

/// Returns the messages of OTLP by their full name, as in `.opentelemetry.proto.trace.v1.Span`.
fn descriptors() -> BTreeMap<String, DescriptorProto> {
    let files = FileDescriptorSet::decode(opentelemetry_proto::DESCRIPTORS).unwrap();
    let mut all = BTreeMap::new();
    for file in &files.file {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), message, &mut all);
        }
    }
    all
}

/// Returns the presence that a field has in proto3.
fn presence(field: &FieldDescriptorProto) -> Presence {
    if field.label() == Label::Repeated {
        return Presence::Repeated;
    }
    // A field with `optional` is in a `oneof` of its own.
    let is_explicit = field.oneof_index.is_some() || field.r#type() == Type::Message;
    if is_explicit { Presence::Explicit } else { Presence::Implicit }
}

fn has_type(kind: Kind, field: &FieldDescriptorProto) -> bool {
    let is_identifier = field.name().ends_with("trace_id") || field.name().ends_with("span_id");
    match kind {
        Text => field.r#type() == Type::String,
        Base64 => field.r#type() == Type::Bytes && !is_identifier,
        Hex => field.r#type() == Type::Bytes && is_identifier,
        Bool => field.r#type() == Type::Bool,
        Int32 => matches!(field.r#type(), Type::Int32 | Type::Enum),
        Int64 => field.r#type() == Type::Int64,
        Uint32 => field.r#type() == Type::Uint32,
        Uint64 => field.r#type() == Type::Uint64,
        Sint32 => field.r#type() == Type::Sint32,
        Fixed32 => field.r#type() == Type::Fixed32,
        Fixed64 => field.r#type() == Type::Fixed64,
        Sfixed64 => field.r#type() == Type::Sfixed64,
        Double => field.r#type() == Type::Double,
        Kind::Message(_) => field.r#type() == Type::Message,
    }
}

/// Compares a message, and all messages in it that were not compared yet.
fn compare(
    name: &str,
    message: &'static Message,
    all: &BTreeMap<String, DescriptorProto>,
    compared: &mut BTreeSet<String>,
) {
    if !compared.insert(name.to_owned()) {
        return;
    }
    let fields = &all[name].field;
    let mut declared: Vec<i32> = fields.iter().map(FieldDescriptorProto::number).collect();
    let mut known: Vec<i32> = message.fields.iter().map(|field| field.number.cast_signed()).collect();
    declared.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, declared, "field numbers of {name}");
    for field in message.fields {
        let declared = fields.iter().find(|one| one.number() == field.number.cast_signed()).unwrap();
        let key = field.key;
        assert_eq!(key, declared.json_name(), "JSON name in {name}");
        assert_eq!(field.presence, presence(declared), "presence of {key} in {name}");
        assert!(has_type(field.kind, declared), "{key} in {name} is {:?}", declared.r#type());
        if let Kind::Message(nested) = field.kind {
            compare(declared.type_name(), nested, all, compared);
        }
    }
}

/// Guarantees: the table has every field of every message of the three requests, with its number,
/// JSON name, type and presence.
#[test]
fn schema_equals_file_descriptors() {
    let all = descriptors();
    let mut compared = BTreeSet::new();
    for (name, signal) in [
        (".opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest", Signal::Metrics),
        (".opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest", Signal::Traces),
        (".opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest", Signal::Logs),
    ] {
        compare(name, request(signal), &all, &mut compared);
    }
    let expected = ["trace.v1.Span", "logs.v1.LogRecord", "metrics.v1.SummaryDataPoint.ValueAtQuantile"];
    for name in expected.map(|name| format!(".opentelemetry.proto.{name}")) {
        assert!(compared.contains(&name), "{name} was not compared");
    }
}
