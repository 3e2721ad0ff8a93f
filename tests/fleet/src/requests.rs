//! Export requests with logs (by the agent's own encoder) and with spans of the platform.

use std::collections::BTreeMap;

use insights_agent::consent::LogKind;
use insights_agent::otlp::Signal;
use insights_agent::pipeline::queue::NewBatch;
use insights_agent::resource::Resource;
use insights_agent::sources::logs::encode::{FileOrigin, LogBatch, OutgoingRecord};
use insights_agent::sources::logs::enrich::Exception;
use insights_agent::sources::logs::framing::Record;
use insights_agent::sources::logs::layout::{Header, Level};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::company::Desk;
use crate::meter::nanos;

/// A line of the platform's log.
pub(crate) struct Line {
    pub(crate) level: (&'static str, SeverityNumber),
    pub(crate) category: &'static str,
    pub(crate) message: String,
}

/// Creates a request with lines of the same time. `offset` is the end of the file.
pub(crate) fn logs(
    desk: &Desk,
    session: &str,
    resource: &Resource,
    offset: &mut u64,
    log: &[Line],
    at: u64,
) -> Option<NewBatch> {
    let folder = format!("{}-{}", desk.environment, desk.region);
    let origin = FileOrigin::new(&session[..8].repeat(2), "application.log", Some(&folder), None);
    let mut batch = LogBatch::new(&resource.to_protobuf());
    for line in log {
        let level = Level { severity: line.level.1, text: line.level.0.as_bytes() };
        let header = Header {
            time: None,
            level: Some(level),
            category: Some(line.category.as_bytes()),
            instance: None,
            thread: Some(b"4711"),
            message_start: 0,
        };
        let message = line.message.as_bytes();
        let record =
            Record { start: 0, header: Some(header), message, continuation: false, cut: false, unfinished: false };
        let exception = line.message.split_once('\n').and_then(|(_, stacktrace)| {
            let (kind, message) = stacktrace.lines().next()?.split_once(": ")?;
            Some(Exception { kind, message, stacktrace })
        });
        batch.push(
            &origin,
            &OutgoingRecord {
                record: &record,
                message: &line.message,
                category: Some(line.category),
                trace: None,
                exception,
                offset: *offset,
                time: Some(at),
                observed: at,
            },
        );
        *offset += line.message.len() as u64 + 60;
    }
    let encoded = batch.finish()?;
    Some(NewBatch {
        signal: Signal::Logs,
        consent: Some(LogKind::Platform),
        items: encoded.items,
        oldest_unix_nano: encoded.oldest_unix_nano.cast_signed(),
        newest_unix_nano: encoded.newest_unix_nano.cast_signed(),
        payload: encoded.payload.to_vec(),
    })
}

/// Creates a request with spans of the platform.
pub(crate) fn traces(resource: ProtoResource, spans: Vec<Span>, at: Timestamp) -> NewBatch {
    let items = u32::try_from(spans.len()).unwrap_or(u32::MAX);
    let mut scopes: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in spans {
        scopes.entry(span.name.clone()).or_default().push(span);
    }
    let scope_spans = scopes.into_iter().map(|(name, spans)| ScopeSpans {
        scope: Some(InstrumentationScope { name, ..InstrumentationScope::default() }),
        spans,
        ..ScopeSpans::default()
    });
    let resource =
        ResourceSpans { resource: Some(resource), scope_spans: scope_spans.collect(), ..ResourceSpans::default() };
    let nanos = nanos(at).cast_signed();
    NewBatch {
        signal: Signal::Traces,
        consent: None,
        items,
        oldest_unix_nano: nanos,
        newest_unix_nano: nanos,
        payload: ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec(),
    }
}
