//! An OTLP/gRPC receiver in this process, built on tonic and opentelemetry-proto, that keeps what
//! tests look at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

/// The fields of a log record that tests look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// `log.record.uid`.
    pub uid: String,
    /// The body.
    pub body: String,
}

/// The fields of an event that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

/// Everything that has arrived.
#[derive(Debug, Default)]
struct Arrived {
    lines: Vec<Line>,
    events: Vec<Event>,
    metrics: usize,
    scopes: BTreeMap<String, String>,
}

/// A running receiver. It stops when this is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
    _runtime: tokio::runtime::Runtime,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::start()
    }
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1.
    #[must_use]
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let logs = LogsServiceServer::new(LogsHandler(Arc::clone(&arrived)))
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(64 << 20);
        let metrics = MetricsServiceServer::new(MetricsHandler(Arc::clone(&arrived)))
            .accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(logs).add_service(metrics);
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, arrived, _runtime: runtime }
    }

    /// Returns its address as a value of `collector.endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of metric requests that have arrived.
    #[must_use]
    pub fn metrics(&self) -> usize {
        locked(&self.arrived).metrics
    }

    /// Returns the log records that have arrived, without events.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        locked(&self.arrived).lines.clone()
    }

    /// Returns the latest metrics of each instrumentation scope, as text to search in.
    #[must_use]
    pub fn scopes(&self) -> BTreeMap<String, String> {
        locked(&self.arrived).scopes.clone()
    }

    /// Returns the events that have arrived.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        locked(&self.arrived).events.clone()
    }
}

fn locked(arrived: &Mutex<Arrived>) -> MutexGuard<'_, Arrived> {
    arrived.lock().expect("no panic while it was held")
}

struct LogsHandler(Arc<Mutex<Arrived>>);

#[tonic::async_trait]
impl LogsService for LogsHandler {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut arrived = locked(&self.0);
        arrived.lines.extend(lines(request.get_ref()));
        arrived.events.extend(events(request.get_ref()));
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

struct MetricsHandler(Arc<Mutex<Arrived>>);

#[tonic::async_trait]
impl MetricsService for MetricsHandler {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut arrived = locked(&self.0);
        arrived.metrics += 1;
        for of in request.get_ref().resource_metrics.iter().flat_map(|resource| &resource.scope_metrics) {
            let name = of.scope.as_ref().map_or("", |scope| &scope.name);
            arrived.scopes.insert(name.to_owned(), format!("{:?}", of.metrics));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// Returns the log records in a request, without events.
pub fn lines(request: &ExportLogsServiceRequest) -> impl Iterator<Item = Line> {
    records(request).filter(|record| record.event_name.is_empty()).map(line)
}

fn events(request: &ExportLogsServiceRequest) -> impl Iterator<Item = Event> {
    let events = records(request).filter(|record| !record.event_name.is_empty());
    events.map(|record| Event {
        name: record.event_name.clone(),
        attributes: record.attributes.iter().map(|of| (of.key.clone(), text(of.value.as_ref()))).collect(),
    })
}

fn records(request: &ExportLogsServiceRequest) -> impl Iterator<Item = &LogRecord> {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records)
}

fn line(record: &LogRecord) -> Line {
    let uid = record.attributes.iter().find(|attribute| attribute.key == "log.record.uid");
    Line { uid: text(uid.and_then(|attribute| attribute.value.as_ref())), body: text(record.body.as_ref()) }
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("not a text: {other:?}"),
    }
}
