//! Redacts the attributes of log records and spans, and the bodies of log records.

use std::borrow::Cow;
use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use crate::glob;
use crate::redaction::Redactor;

/// Maximum depth of values in values. Deeper ones are removed, because they are not searched.
const MAX_DEPTH: usize = 32;
/// Maximum number of keys whose result is cached: more than a request of an SDK has.
const MAX_CACHED_KEYS: usize = 1024;

/// Redacts the bodies of log records and all attributes: of records, scopes and resources. Returns
/// whether something changed.
pub(super) fn redact_logs(request: &mut ExportLogsServiceRequest, redactor: &Redactor) -> bool {
    let mut redactor = AttributeRedactor::new(redactor);
    for resource_logs in &mut request.resource_logs {
        if let Some(resource) = &mut resource_logs.resource {
            redactor.redact_attributes(&mut resource.attributes);
        }
        for scope_logs in &mut resource_logs.scope_logs {
            if let Some(scope) = &mut scope_logs.scope {
                redactor.redact_attributes(&mut scope.attributes);
            }
            for record in &mut scope_logs.log_records {
                if let Some(body) = &mut record.body {
                    redactor.redact_value(body, MAX_DEPTH);
                }
                redactor.redact_attributes(&mut record.attributes);
            }
        }
    }
    redactor.changed
}

/// Redacts those attributes of spans and span events whose name matches one of `patterns`. Returns
/// whether something changed.
pub(super) fn redact_spans(request: &mut ExportTraceServiceRequest, patterns: &[String], redactor: &Redactor) -> bool {
    let mut redactor = AttributeRedactor::new(redactor);
    let mut redact_matching = |attributes: &mut Vec<KeyValue>| {
        for attribute in attributes {
            if patterns.iter().any(|pattern| glob::matches(pattern, &attribute.key)) {
                redactor.redact_attribute(attribute, MAX_DEPTH);
            }
        }
    };
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        redact_matching(&mut span.attributes);
        for event in &mut span.events {
            redact_matching(&mut event.attributes);
        }
    }
    redactor.changed
}

/// Redacts attributes, and remembers whether one changed.
struct AttributeRedactor<'a> {
    redactor: &'a Redactor,
    /// By key: the replacement for its value if the key is the name of a credential.
    replacements: HashMap<String, Option<&'a str>>,
    changed: bool,
}

impl<'a> AttributeRedactor<'a> {
    fn new(redactor: &'a Redactor) -> Self {
        Self { redactor, replacements: HashMap::new(), changed: false }
    }

    fn redact_attributes(&mut self, attributes: &mut [KeyValue]) {
        for attribute in attributes {
            self.redact_attribute(attribute, MAX_DEPTH);
        }
    }

    /// Redacts an attribute. If its key is the name of a credential, the whole value is replaced,
    /// whatever its type.
    fn redact_attribute(&mut self, attribute: &mut KeyValue, depth: usize) {
        let Some(any) = &mut attribute.value else { return };
        match self.replacement(&attribute.key) {
            Some(replacement) if needs_redaction(any, replacement) => {
                any.value = Some(Value::StringValue(replacement.to_owned()));
                self.changed = true;
            }
            Some(_) => {}
            None => self.redact_value(any, depth),
        }
    }

    fn replacement(&mut self, key: &str) -> Option<&'a str> {
        if let Some(replacement) = self.replacements.get(key) {
            return *replacement;
        }
        let replacement = self.redactor.placeholder_for_key(key);
        if self.replacements.len() < MAX_CACHED_KEYS {
            self.replacements.insert(key.to_owned(), replacement);
        }
        replacement
    }

    /// Redacts the texts in a value. `depth` is how many levels of values may still follow.
    fn redact_value(&mut self, any: &mut AnyValue, depth: usize) {
        if depth == 0 {
            self.changed |= any.value.take().is_some();
            return;
        }
        match &mut any.value {
            Some(Value::StringValue(text)) => {
                if let Some(redacted) = self.redact_text(text) {
                    *text = redacted;
                }
            }
            Some(Value::BytesValue(bytes)) => {
                if let Some(redacted) = std::str::from_utf8(bytes).ok().and_then(|text| self.redact_text(text)) {
                    *bytes = redacted.into_bytes();
                }
            }
            Some(Value::ArrayValue(array)) => {
                for value in &mut array.values {
                    self.redact_value(value, depth - 1);
                }
            }
            Some(Value::KvlistValue(list)) => {
                for entry in &mut list.values {
                    self.redact_attribute(entry, depth - 1);
                }
            }
            _ => {}
        }
    }

    /// Returns the redacted text if it differs.
    fn redact_text(&mut self, text: &str) -> Option<String> {
        match self.redactor.redact(text) {
            Cow::Owned(redacted) if redacted != text => {
                self.changed = true;
                Some(redacted)
            }
            _ => None,
        }
    }
}

/// Returns whether the value of a credential still needs redaction. An empty value does not, nor
/// does a Boolean: whether there is a credential is not a secret.
fn needs_redaction(any: &AnyValue, replacement: &str) -> bool {
    match &any.value {
        None | Some(Value::BoolValue(_)) => false,
        Some(Value::StringValue(text)) => !text.is_empty() && text != replacement,
        Some(Value::BytesValue(bytes)) => !bytes.is_empty(),
        Some(Value::ArrayValue(array)) => !array.values.is_empty(),
        Some(Value::KvlistValue(list)) => !list.values.is_empty(),
        Some(Value::IntValue(_) | Value::DoubleValue(_) | Value::StringValueStrindex(_)) => true,
    }
}
