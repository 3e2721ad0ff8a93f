//! Appends the agent's spans to the queue.
//!
//! A span is appended after the activity that it describes has ended, sometimes only after a
//! restart of the agent. The SDK's tracer cannot create such spans, so they are encoded here with
//! the ids and times that they already have.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::queue::{AppendError, NewBatch, Queue};
use crate::otlp::Signal;
use crate::signals::logs::SCHEMA_URL;
use crate::signals::spans::SCOPE_NAME;

/// Appends spans to the queue.
#[derive(Debug, Clone)]
pub struct Spans {
    queue: Queue,
    resource: Resource,
}

impl Spans {
    /// Creates an appender. `resource` is an encoded `opentelemetry.proto.resource.v1.Resource`.
    ///
    /// # Errors
    /// When `resource` cannot be decoded.
    pub fn new(queue: Queue, resource: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(Self { queue, resource: Resource::decode(resource)? })
    }

    /// Appends spans as one batch; see [`Queue::append`].
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append(&self, spans: Vec<Span>) -> Result<(), AppendError> {
        let nanos = |nanos: Option<u64>| nanos.unwrap_or_default().cast_signed();
        let oldest_unix_nano = nanos(spans.iter().map(|span| span.start_time_unix_nano).min());
        let newest_unix_nano = nanos(spans.iter().map(|span| span.end_time_unix_nano).max());
        let items = u32::try_from(spans.len()).unwrap_or(u32::MAX);
        let scope = InstrumentationScope {
            name: SCOPE_NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let schema_url = SCHEMA_URL.to_owned();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: schema_url.clone() }];
        let resource = Some(self.resource.clone());
        let request =
            ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url }] };
        let batch = NewBatch {
            signal: Signal::Traces,
            consent: None,
            items,
            oldest_unix_nano,
            newest_unix_nano,
            payload: request.encode_to_vec(),
        };
        self.queue.append(batch).await
    }
}
