//! A receiver in this process: OTLP/gRPC, by tonic and opentelemetry-proto, that keeps what it needs to count.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

/// One log record, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// `log.record.uid`.
    pub uid: String,
    /// The body.
    pub body: String,
}

/// A running receiver. It ends when this is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<Line>>>,
    metrics: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::start()
    }
}

impl Receiver {
    /// Listens on a free port of loopback.
    #[must_use]
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let logs = LogsServiceServer::new(Keep(Arc::clone(&lines)))
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(64 << 20);
        let metrics_arrived = Arc::new(AtomicUsize::new(0));
        let metrics =
            MetricsServiceServer::new(Count(Arc::clone(&metrics_arrived))).accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(logs).add_service(metrics);
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, lines, metrics: metrics_arrived, _runtime: runtime }
    }

    /// Its address, as `collector.endpoint` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests with metrics that have arrived.
    #[must_use]
    pub fn metrics(&self) -> usize {
        self.metrics.load(Ordering::Relaxed)
    }

    /// What has arrived.
    pub fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().expect("no panic while it was held")
    }
}

struct Keep(Arc<Mutex<Vec<Line>>>);

#[tonic::async_trait]
impl LogsService for Keep {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.0.lock().expect("no panic while it was held").extend(lines(request.get_ref()));
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

struct Count(Arc<AtomicUsize>);

#[tonic::async_trait]
impl MetricsService for Count {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// The records of a request.
pub fn lines(request: &ExportLogsServiceRequest) -> impl Iterator<Item = Line> {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records).map(line)
}

fn line(record: &LogRecord) -> Line {
    let text = |value: Option<&Value>| match value {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("not a text: {other:?}"),
    };
    let uid = record.attributes.iter().find(|attribute| attribute.key == "log.record.uid");
    let uid = uid.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref());
    Line { uid: text(uid), body: text(record.body.as_ref().and_then(|body| body.value.as_ref())) }
}
