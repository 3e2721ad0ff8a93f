//! Appends the agent's events to the queue, as log records with an event name.
//!
//! Events need no consent, because they contain nothing from a log file.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::queue::{AppendError, NewBatch, Queue};
use crate::otlp::Signal;
use crate::signals::events::{EventDefinition, SCOPE_NAME};
use crate::signals::logs::SCHEMA_URL;

/// Appends events to the queue.
#[derive(Debug, Clone)]
pub struct Events {
    queue: Queue,
    resource: Resource,
}

impl Events {
    /// Creates an appender. `resource` is an encoded `opentelemetry.proto.resource.v1.Resource`.
    ///
    /// # Errors
    /// When `resource` cannot be decoded.
    pub fn new(queue: Queue, resource: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(Self { queue, resource: Resource::decode(resource)? })
    }

    /// Appends an event; see [`Queue::append`]. `body` describes the event for people.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn emit(
        &self,
        event: EventDefinition,
        at: jiff::Timestamp,
        body: String,
        attributes: Vec<(&'static str, Value)>,
    ) -> Result<(), AppendError> {
        let nanos = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or_default();
        let value = |value: Value| Some(AnyValue { value: Some(value) });
        let attributes = attributes.into_iter().map(|(key, attribute)| KeyValue {
            key: key.to_owned(),
            value: value(attribute),
            ..KeyValue::default()
        });
        let record = LogRecord {
            time_unix_nano: nanos(at).cast_unsigned(),
            observed_time_unix_nano: nanos(jiff::Timestamp::now()).cast_unsigned(),
            severity_number: SeverityNumber::Info.into(),
            event_name: event.name.to_owned(),
            body: value(Value::StringValue(body)),
            attributes: attributes.collect(),
            ..LogRecord::default()
        };
        let scope = InstrumentationScope {
            name: SCOPE_NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let schema_url = SCHEMA_URL.to_owned();
        let scope_logs =
            vec![ScopeLogs { scope: Some(scope), log_records: vec![record], schema_url: schema_url.clone() }];
        let resource = Some(self.resource.clone());
        let request =
            ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, schema_url }] };
        let batch = NewBatch {
            signal: Signal::Logs,
            consent: None,
            items: 1,
            oldest_unix_nano: nanos(at),
            newest_unix_nano: nanos(at),
            payload: request.encode_to_vec(),
        };
        self.queue.append(batch).await
    }
}
