//! A receiver in this process: OTLP/gRPC, by tonic and opentelemetry-proto, that keeps what it needs to count.

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

/// One log record, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// `log.record.uid`.
    pub uid: String,
    /// The body.
    pub body: String,
}

/// One event, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

/// What has arrived.
#[derive(Debug, Default)]
struct Arrived {
    lines: Vec<Line>,
    events: Vec<Event>,
    metrics: usize,
    scopes: BTreeMap<String, String>,
}

/// A running receiver. It ends when this is dropped.
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
    /// Listens on a free port of loopback.
    #[must_use]
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let logs = LogsServiceServer::new(Keep(Arc::clone(&arrived)))
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(64 << 20);
        let metrics =
            MetricsServiceServer::new(Count(Arc::clone(&arrived))).accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(logs).add_service(metrics);
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, arrived, _runtime: runtime }
    }

    /// Its address, as `collector.endpoint` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests with metrics that have arrived.
    #[must_use]
    pub fn metrics(&self) -> usize {
        locked(&self.arrived).metrics
    }

    /// The records of files that have arrived.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        locked(&self.arrived).lines.clone()
    }

    /// What has arrived last of each instrumentation scope's metrics, for looking for words in it.
    #[must_use]
    pub fn scopes(&self) -> BTreeMap<String, String> {
        locked(&self.arrived).scopes.clone()
    }

    /// The events that have arrived.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        locked(&self.arrived).events.clone()
    }
}

fn locked(arrived: &Mutex<Arrived>) -> MutexGuard<'_, Arrived> {
    arrived.lock().expect("no panic while it was held")
}

struct Keep(Arc<Mutex<Arrived>>);

#[tonic::async_trait]
impl LogsService for Keep {
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

struct Count(Arc<Mutex<Arrived>>);

#[tonic::async_trait]
impl MetricsService for Count {
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

/// The records of files in a request.
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
