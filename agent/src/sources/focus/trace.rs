//! One trace per run of the platform. The root span is the platform session; its children are app
//! sessions and focus periods.
//!
//! The trace id and the id of the root span are derived from the user's session and the platform's
//! process, so that a restarted agent continues the same trace. A trace has at most
//! [`MAX_SPANS_PER_SESSION`] spans, which keeps the data of a day to a few hundred KiB.

use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use ring::digest::{SHA256, digest};

use super::process_tree::Platform;
use crate::signals::spans::{APP_SESSION, FOCUS, PLATFORM_SESSION, SPANS_LEFT_OUT, SpanDefinition};

/// Maximum number of spans per platform session, excluding the root.
const MAX_SPANS_PER_SESSION: u64 = 2000;
/// Minimum length of a focus period that becomes a span. Shorter ones occur when a user only passes
/// through a window.
const MIN_FOCUS_SPAN: Duration = Duration::from_secs(1);

/// The trace of one platform session.
#[derive(Debug)]
pub(super) struct Trace {
    id: Vec<u8>,
    root_span_id: Vec<u8>,
    spans: u64,
}

impl Trace {
    /// `session` is the user's `session.id`.
    pub(super) fn new(session: &str, platform: Platform) -> Self {
        let hash = digest(&SHA256, format!("{session} {} {}", platform.pid, platform.started).as_bytes());
        let (trace_id, rest) = hash.as_ref().split_at(16);
        let root_span_id = rest.iter().copied().take(8).collect();
        Self { id: trace_id.to_vec(), root_span_id, spans: 0 }
    }

    /// Returns the span of a focus period, unless it is too short or the trace is full.
    pub(super) fn focus(&mut self, app: &str, from: Timestamp, length: Duration) -> Option<Span> {
        if length < MIN_FOCUS_SPAN { None } else { self.child(FOCUS, app, from, length) }
    }

    /// Returns the span of an ended app instance, unless the trace is full.
    pub(super) fn app_session(&mut self, app: &str, from: Timestamp, length: Duration) -> Option<Span> {
        self.child(APP_SESSION, app, from, length)
    }

    /// Returns the root span of an ended platform.
    pub(super) fn end(&self, from: Timestamp, length: Duration) -> Span {
        let left_out = i64::try_from(self.spans.saturating_sub(MAX_SPANS_PER_SESSION)).unwrap_or(i64::MAX);
        let attributes = if left_out > 0 { vec![(SPANS_LEFT_OUT.name, Value::IntValue(left_out))] } else { Vec::new() };
        Span { span_id: self.root_span_id.clone(), ..self.span(PLATFORM_SESSION, attributes, from, length) }
    }

    fn child(&mut self, name: SpanDefinition, app: &str, from: Timestamp, length: Duration) -> Option<Span> {
        self.spans += 1;
        if self.spans > MAX_SPANS_PER_SESSION {
            return None;
        }
        let app_name = name.attributes.iter().map(|attribute| attribute.name);
        let attributes = app_name.map(|key| (key, Value::StringValue(app.to_owned()))).collect();
        let span_id = fastrand::u64(1..).to_be_bytes().to_vec();
        let parent_span_id = self.root_span_id.clone();
        Some(Span { span_id, parent_span_id, ..self.span(name, attributes, from, length) })
    }

    fn span(&self, name: SpanDefinition, attributes: Vec<(&str, Value)>, from: Timestamp, length: Duration) -> Span {
        let nanos = |at: Timestamp| u64::try_from(at.as_nanosecond()).unwrap_or_default();
        let attributes = attributes.into_iter().map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
        Span {
            trace_id: self.id.clone(),
            name: name.name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(from),
            end_time_unix_nano: nanos(from.checked_add(length).unwrap_or(from)),
            attributes: attributes.collect(),
            ..Span::default()
        }
    }
}
