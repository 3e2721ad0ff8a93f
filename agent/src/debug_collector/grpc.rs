//! OTLP/gRPC: the three export services of opentelemetry-proto.

use std::future::Future;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Response, Status};

use super::{Ingest, MAX_REQUEST_BYTES, Request, Transport};

/// Answers requests until `stop`, then finishes those in progress.
pub(super) async fn serve(listener: TcpListener, ingest: Ingest, stop: impl Future<Output = ()> + Send) {
    // The limit applies to the compressed and to the decompressed message.
    macro_rules! service {
        ($server:ident) => {
            $server::new(ingest.clone())
                .accept_compressed(Gzip)
                .accept_compressed(Zstd)
                .max_decoding_message_size(MAX_REQUEST_BYTES)
        };
    }
    let served = Server::builder()
        .add_service(service!(MetricsServiceServer))
        .add_service(service!(TraceServiceServer))
        .add_service(service!(LogsServiceServer))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await;
    if let Err(error) = served {
        tracing::warn!("failed to serve OTLP over gRPC: {error:#}");
    }
}

macro_rules! export {
    ($service:ident, $request:ident, $response:ident, $signal:ident) => {
        #[async_trait]
        impl $service for Ingest {
            async fn export(&self, request: tonic::Request<$request>) -> Result<Response<$response>, Status> {
                let request = Request::$signal(request.into_inner());
                self.accept(Transport::Grpc, request).await.map_err(|error| Status::unavailable(error.to_string()))?;
                Ok(Response::new($response::default()))
            }
        }
    };
}
export!(MetricsService, ExportMetricsServiceRequest, ExportMetricsServiceResponse, Metrics);
export!(TraceService, ExportTraceServiceRequest, ExportTraceServiceResponse, Traces);
export!(LogsService, ExportLogsServiceRequest, ExportLogsServiceResponse, Logs);
