//! OTLP over gRPC: the three export services of opentelemetry-proto.

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

use super::{Intake, LARGEST_REQUEST, Request, Transport};

/// Answers until `stop`, and finishes what is under way.
pub(super) async fn serve(listener: TcpListener, intake: Intake, stop: impl Future<Output = ()> + Send) {
    // The limit holds for a message as it comes and as it becomes.
    macro_rules! service {
        ($server:ident) => {
            $server::new(intake.clone())
                .accept_compressed(Gzip)
                .accept_compressed(Zstd)
                .max_decoding_message_size(LARGEST_REQUEST)
        };
    }
    let served = Server::builder()
        .add_service(service!(MetricsServiceServer))
        .add_service(service!(TraceServiceServer))
        .add_service(service!(LogsServiceServer))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "collector: OTLP over gRPC has ended");
    }
}

macro_rules! export {
    ($service:ident, $request:ident, $response:ident, $signal:ident) => {
        #[async_trait]
        impl $service for Intake {
            async fn export(&self, request: tonic::Request<$request>) -> Result<Response<$response>, Status> {
                let request = Request::$signal(request.into_inner());
                self.take(Transport::Grpc, request).await.map_err(|error| Status::unavailable(error.to_string()))?;
                Ok(Response::new($response::default()))
            }
        }
    };
}
export!(MetricsService, ExportMetricsServiceRequest, ExportMetricsServiceResponse, Metrics);
export!(TraceService, ExportTraceServiceRequest, ExportTraceServiceResponse, Traces);
export!(LogsService, ExportLogsServiceRequest, ExportLogsServiceResponse, Logs);
