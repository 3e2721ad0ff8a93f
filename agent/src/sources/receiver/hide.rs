//! What is hidden in log records and spans before they go into the queue.

use std::borrow::Cow;
use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use crate::glob;
use crate::redaction::Redactor;

/// Values in values, as attributes can hold them, are looked into so deep. What is deeper is taken out.
const DEEPEST: usize = 32;
/// Different keys of which it is remembered whether they are those of credentials: more than a request of an SDK has.
const MOST_KEYS: usize = 1024;

/// Hides what the rules find in the bodies of log records and in all attributes: of records, scopes and resources; says
/// whether there was anything.
pub(super) fn in_logs(request: &mut ExportLogsServiceRequest, redactor: &Redactor) -> bool {
    let mut hider = Hider::new(redactor);
    for of_resource in &mut request.resource_logs {
        if let Some(resource) = &mut of_resource.resource {
            hider.attributes(&mut resource.attributes);
        }
        for of_scope in &mut of_resource.scope_logs {
            if let Some(scope) = &mut of_scope.scope {
                hider.attributes(&mut scope.attributes);
            }
            for record in &mut of_scope.log_records {
                if let Some(body) = &mut record.body {
                    hider.value(body, DEEPEST);
                }
                hider.attributes(&mut record.attributes);
            }
        }
    }
    hider.hidden
}

/// The same in the attributes of spans and their events whose names are taken by `names`.
pub(super) fn in_spans(request: &mut ExportTraceServiceRequest, names: &[String], redactor: &Redactor) -> bool {
    let mut hider = Hider::new(redactor);
    let mut hide = |attributes: &mut Vec<KeyValue>| {
        for attribute in attributes {
            if names.iter().any(|name| glob::matches(name, &attribute.key)) {
                hider.pair(attribute, DEEPEST);
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
    hider.hidden
}

/// Hides, and remembers whether it did.
struct Hider<'a> {
    redactor: &'a Redactor,
    /// What is put in the place of the value of a key, if it is that of a credential.
    marks: HashMap<String, Option<&'a str>>,
    hidden: bool,
}

impl<'a> Hider<'a> {
    fn new(redactor: &'a Redactor) -> Self {
        Self { redactor, marks: HashMap::new(), hidden: false }
    }

    fn attributes(&mut self, attributes: &mut [KeyValue]) {
        for attribute in attributes {
            self.pair(attribute, DEEPEST);
        }
    }

    /// A value whose key says that it is a credential is hidden as a whole, whatever it is.
    fn pair(&mut self, pair: &mut KeyValue, deeper: usize) {
        let Some(any) = &mut pair.value else { return };
        match self.mark(&pair.key) {
            Some(mark) if says_something(any, mark) => {
                any.value = Some(Value::StringValue(mark.to_owned()));
                self.hidden = true;
            }
            Some(_) => {}
            None => self.value(any, deeper),
        }
    }

    fn mark(&mut self, key: &str) -> Option<&'a str> {
        if let Some(mark) = self.marks.get(key) {
            return *mark;
        }
        let mark = self.redactor.placeholder_for_key(key);
        if self.marks.len() < MOST_KEYS {
            self.marks.insert(key.to_owned(), mark);
        }
        mark
    }

    fn value(&mut self, any: &mut AnyValue, deeper: usize) {
        if deeper == 0 {
            self.hidden |= any.value.take().is_some();
            return;
        }
        match &mut any.value {
            Some(Value::StringValue(text)) => {
                if let Some(clean) = self.clean(text) {
                    *text = clean;
                }
            }
            Some(Value::BytesValue(bytes)) => {
                if let Some(clean) = std::str::from_utf8(bytes).ok().and_then(|text| self.clean(text)) {
                    *bytes = clean.into_bytes();
                }
            }
            Some(Value::ArrayValue(array)) => {
                for value in &mut array.values {
                    self.value(value, deeper - 1);
                }
            }
            Some(Value::KvlistValue(list)) => {
                for entry in &mut list.values {
                    self.pair(entry, deeper - 1);
                }
            }
            _ => {}
        }
    }

    /// The text without what is hidden, if anything is.
    fn clean(&mut self, text: &str) -> Option<String> {
        match self.redactor.redact(text) {
            Cow::Owned(clean) if clean != text => {
                self.hidden = true;
                Some(clean)
            }
            _ => None,
        }
    }
}

/// Whether there is something to be hidden that is not hidden yet. Whether there is a credential is none.
fn says_something(any: &AnyValue, mark: &str) -> bool {
    match &any.value {
        None | Some(Value::BoolValue(_)) => false,
        Some(Value::StringValue(text)) => !text.is_empty() && text != mark,
        Some(Value::BytesValue(bytes)) => !bytes.is_empty(),
        Some(Value::ArrayValue(array)) => !array.values.is_empty(),
        Some(Value::KvlistValue(list)) => !list.values.is_empty(),
        Some(Value::IntValue(_) | Value::DoubleValue(_) | Value::StringValueStrindex(_)) => true,
    }
}
