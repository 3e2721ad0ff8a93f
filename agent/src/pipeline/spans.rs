//! Spans of the agent into the queue. They are of things that are over when they are told, sometimes after a restart of
//! the agent, so they are encoded with the identities and times that they have, not made by the SDK's tracer.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::queue::{AppendError, NewBatch, Queue};
use crate::otlp::Signal;
use crate::signals::logs::SCHEMA_URL;
use crate::signals::spans::SCOPE_NAME;

/// Puts spans into the queue.
#[derive(Debug, Clone)]
pub struct Spans {
    queue: Queue,
    resource: Resource,
}

impl Spans {
    /// `resource` is an encoded `opentelemetry.proto.resource.v1.Resource`.
    ///
    /// # Errors
    /// When it is not.
    pub fn new(queue: Queue, resource: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(Self { queue, resource: Resource::decode(resource)? })
    }

    /// Puts spans into the queue; they are on disk when this returns.
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
