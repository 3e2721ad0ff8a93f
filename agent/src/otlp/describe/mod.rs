//! Renders requests as text: for the debug collector, and for users who want to see the exported
//! data.

pub(crate) mod json_lines;
pub(crate) mod text;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::{Signal, data_points};

/// The content of a request as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Attributes of the first resource.
    pub resource: Vec<(String, String)>,
    /// One line for each data point, span or log record.
    pub lines: Vec<String>,
}

/// Describes a request in the same format as the debug collector.
///
/// # Errors
/// When the bytes are not a request of this signal.
pub fn describe(signal: Signal, bytes: &[u8]) -> Result<Described, prost::DecodeError> {
    let request = Request::decode(signal, bytes)?;
    let resource = request.resource().map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let resource = resource.iter().map(|one| (one.key.clone(), text::show(one.value.as_ref()))).collect();
    let received = Received { at: Timestamp::now(), transport: Transport::Grpc, request };
    let mut lines = Vec::new();
    text::Text::items_only(jiff::tz::TimeZone::system())
        .request(&received, &mut |line| lines.push(line.trim().to_owned()));
    // The first line is the heading. The sender that it names is also in the resource.
    lines.drain(..1.min(lines.len()));
    Ok(Described { resource, lines })
}

/// A request with the time and protocol of its arrival.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) at: Timestamp,
    pub(crate) transport: Transport,
    pub(crate) request: Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    Http,
}

impl Transport {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Http => "HTTP",
        }
    }
}

/// A decoded export request.
#[derive(Debug)]
pub(crate) enum Request {
    Metrics(ExportMetricsServiceRequest),
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Request {
    pub(crate) fn resource(&self) -> Option<&Resource> {
        match self {
            Self::Metrics(request) => request.resource_metrics.first()?.resource.as_ref(),
            Self::Traces(request) => request.resource_spans.first()?.resource.as_ref(),
            Self::Logs(request) => request.resource_logs.first()?.resource.as_ref(),
        }
    }

    pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(match signal {
            Signal::Metrics => Self::Metrics(Message::decode(bytes)?),
            Signal::Traces => Self::Traces(Message::decode(bytes)?),
            Signal::Logs => Self::Logs(Message::decode(bytes)?),
        })
    }

    pub(crate) const fn signal(&self) -> Signal {
        match self {
            Self::Metrics(_) => Signal::Metrics,
            Self::Traces(_) => Signal::Traces,
            Self::Logs(_) => Signal::Logs,
        }
    }

    pub(crate) fn items(&self) -> usize {
        match self {
            Self::Metrics(request) => data_points(request),
            Self::Traces(request) => {
                request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum()
            }
            Self::Logs(request) => {
                request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum()
            }
        }
    }

    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Metrics(request) => request.encoded_len(),
            Self::Traces(request) => request.encoded_len(),
            Self::Logs(request) => request.encoded_len(),
        }
    }
}
