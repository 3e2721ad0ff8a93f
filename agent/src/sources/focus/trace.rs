//! One trace for each run of the platform: its root the platform session, below it app sessions and focus periods.
//!
//! Identities are made from the user's session and the platform's process, so that an agent that was restarted goes on
//! with the same trace. A session has at most [`MOST_SPANS`] spans, so that a day stays some hundred KiB.

use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use ring::digest::{SHA256, digest};

use super::family::Platform;
use crate::signals::spans::{APP_SESSION, FOCUS, PLATFORM_SESSION, SPANS_LEFT_OUT, SpanDefinition};

/// Most spans of a session, its root not counted.
const MOST_SPANS: u64 = 2000;
/// Focus that is shorter is a glance in passing.
const SHORTEST_FOCUS: Duration = Duration::from_secs(1);

/// The trace of a platform.
#[derive(Debug)]
pub(super) struct Trace {
    id: Vec<u8>,
    root: Vec<u8>,
    spans: u64,
}

impl Trace {
    /// `session` is the user's `session.id`.
    pub(super) fn new(session: &str, platform: Platform) -> Self {
        let hash = digest(&SHA256, format!("{session} {} {}", platform.pid, platform.started).as_bytes());
        let (trace_id, rest) = hash.as_ref().split_at(16);
        let root = rest.iter().copied().take(8).collect();
        Self { id: trace_id.to_vec(), root, spans: 0 }
    }

    /// An app was in front.
    pub(super) fn focus(&mut self, app: &str, from: Timestamp, length: Duration) -> Option<Span> {
        if length < SHORTEST_FOCUS { None } else { self.child(FOCUS, app, from, length) }
    }

    /// An instance of an app has ended.
    pub(super) fn app_session(&mut self, app: &str, from: Timestamp, length: Duration) -> Option<Span> {
        self.child(APP_SESSION, app, from, length)
    }

    /// The platform has ended.
    pub(super) fn end(&self, from: Timestamp, length: Duration) -> Span {
        let left_out = i64::try_from(self.spans.saturating_sub(MOST_SPANS)).unwrap_or(i64::MAX);
        let attributes = if left_out > 0 { vec![(SPANS_LEFT_OUT.name, Value::IntValue(left_out))] } else { Vec::new() };
        Span { span_id: self.root.clone(), ..self.span(PLATFORM_SESSION, attributes, from, length) }
    }

    fn child(&mut self, name: SpanDefinition, app: &str, from: Timestamp, length: Duration) -> Option<Span> {
        self.spans += 1;
        if self.spans > MOST_SPANS {
            return None;
        }
        let app_name = name.attributes.iter().map(|attribute| attribute.name);
        let attributes = app_name.map(|key| (key, Value::StringValue(app.to_owned()))).collect();
        let span_id = fastrand::u64(1..).to_be_bytes().to_vec();
        let parent_span_id = self.root.clone();
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
