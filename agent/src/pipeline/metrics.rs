//! Exports the metrics of the OpenTelemetry SDK into the queue.
//!
//! The SDK aggregates and opentelemetry-otlp encodes. The HTTP client that they use is ours:
//! instead of sending a request, it appends the request to the queue.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream, Temporality};
use prost::Message;

use super::queue::{AppendError, DropReason, NewBatch, Queue};
use crate::otlp::{Signal, data_points};
use crate::pause::Pause;
use crate::signals::metrics::{MAX_REQUEST_SERIES, REQUEST_DURATION};

/// Returns a meter provider that exports into the queue: once every `interval` and once at
/// shutdown. While the agent is paused, exports are discarded.
///
/// # Errors
/// When opentelemetry-otlp cannot build its exporter.
pub fn provider(
    queue: Queue,
    resource: Resource,
    interval: Duration,
    pause: &Pause,
) -> Result<SdkMeterProvider, ExporterBuildError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(QueueClient { queue, pause: pause.clone() })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint("http://queue.invalid/v1/metrics")
        .with_temporality(Temporality::Cumulative)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
    // Apps choose the names of their requests. Without a limit, each new name would use memory for
    // as long as the agent runs.
    let limit_requests = |instrument: &Instrument| {
        let is_request_duration = instrument.name() == REQUEST_DURATION.name;
        is_request_duration.then(|| Stream::builder().with_cardinality_limit(MAX_REQUEST_SERIES).build().ok()).flatten()
    };
    Ok(SdkMeterProvider::builder().with_reader(reader).with_resource(resource).with_view(limit_requests).build())
}

/// An HTTP client that appends requests to the queue.
#[derive(Debug)]
struct QueueClient {
    queue: Queue,
    pause: Pause,
}

#[async_trait]
impl HttpClient for QueueClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if self.pause.is_on() {
            return Ok(Response::new(Bytes::new()));
        }
        let payload = request.into_body();
        let items = data_points(&ExportMetricsServiceRequest::decode(payload.clone())?);
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
        let batch = NewBatch {
            signal: Signal::Metrics,
            consent: None,
            items: u32::try_from(items)?,
            oldest_unix_nano: now,
            newest_unix_nano: now,
            payload: payload.to_vec(),
        };
        let items = batch.items;
        let status = match self.queue.append(batch).await {
            Ok(()) => StatusCode::OK,
            Err(AppendError::Closed) => return Err(AppendError::Closed.into()),
            // The SDK does not export the request again, so its data points are lost.
            Err(error) => {
                let reason = if matches!(error, AppendError::Full) { DropReason::Full } else { DropReason::DiskFull };
                self.queue.count_lost(Signal::Metrics, reason, items).await;
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        Ok(response)
    }
}
