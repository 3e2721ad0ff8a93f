//! What is hidden in log records and spans before they go into the queue.

use std::borrow::Cow;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use crate::connect::glob_matches;
use crate::redaction::Redactor;

/// Values in values, as attributes can hold them, are looked into so deep. What is deeper is taken out.
const DEEPEST: usize = 32;

/// Hides what the rules find in the bodies and attributes of log records; says whether there was anything.
pub(super) fn in_logs(request: &mut ExportLogsServiceRequest, redactor: &Redactor) -> bool {
    let scopes = request.resource_logs.iter_mut().flat_map(|of| &mut of.scope_logs);
    let mut hidden = false;
    for record in scopes.flat_map(|scope| &mut scope.log_records) {
        hidden |= in_value(record.body.as_mut(), redactor, DEEPEST);
        for attribute in &mut record.attributes {
            hidden |= in_value(attribute.value.as_mut(), redactor, DEEPEST);
        }
    }
    hidden
}

/// The same in the attributes of spans and their events whose names are taken by `names`.
pub(super) fn in_spans(request: &mut ExportTraceServiceRequest, names: &[String], redactor: &Redactor) -> bool {
    let mut hidden = false;
    let mut hide = |attributes: &mut Vec<KeyValue>| {
        for attribute in attributes {
            if names.iter().any(|name| glob_matches(name, &attribute.key)) {
                hidden |= in_value(attribute.value.as_mut(), redactor, DEEPEST);
            }
        }
    };
    let scopes = request.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        hide(&mut span.attributes);
        for event in &mut span.events {
            hide(&mut event.attributes);
        }
    }
    hidden
}

fn in_value(value: Option<&mut AnyValue>, redactor: &Redactor, deeper: usize) -> bool {
    let Some(any) = value else { return false };
    if deeper == 0 {
        return any.value.take().is_some();
    }
    match &mut any.value {
        Some(Value::StringValue(text)) => match redactor.redact(text) {
            Cow::Owned(clean) if clean != *text => {
                *text = clean;
                true
            }
            _ => false,
        },
        Some(Value::ArrayValue(array)) => {
            let mut hidden = false;
            for value in &mut array.values {
                hidden |= in_value(Some(value), redactor, deeper - 1);
            }
            hidden
        }
        Some(Value::KvlistValue(list)) => {
            let mut hidden = false;
            for entry in &mut list.values {
                hidden |= in_value(entry.value.as_mut(), redactor, deeper - 1);
            }
            hidden
        }
        _ => false,
    }
}
