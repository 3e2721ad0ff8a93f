//! A collector that fails as it is told: OTLP over gRPC and over HTTP/1.1, on one port.
//!
//! ```text
//! TCP (refused, reset) ─► axum: /v1/<signal>, and tonic's services ─► busy, away, error, hanging, partial, swallowing
//! ```

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use prost::Message;
use tokio::io::{AsyncReadExt, DuplexStream, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic_types::{ErrorDetails, StatusExt};

use crate::account::{Piece, Pieces};
use test_support::receiver::lines;

/// Largest request: more than the agent ever sends.
const LARGEST: usize = 64 << 20;
/// What a busy collector asks for.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Log records that are rejected of each request, where some are.
const REJECTED: usize = 3;
/// Bytes that are read of a connection before it is reset: some of the headers, or of the body.
const READ_BEFORE_RESET: usize = 600;
/// How long they are waited for.
const RESET_WAIT: Duration = Duration::from_millis(200);

/// What the collector does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Takes everything.
    Accept,
    /// Nobody listens; connections are broken.
    Refuse,
    /// Connections are accepted, and broken in the middle of a request.
    Reset,
    /// Requests are read and never answered.
    Hang,
    /// Requests are taken, but the answer never comes.
    Swallow,
    /// HTTP 429, gRPC `RESOURCE_EXHAUSTED` with `RetryInfo`.
    Busy,
    /// HTTP 503, gRPC `UNAVAILABLE`.
    Away,
    /// HTTP 500, gRPC `INTERNAL`: refused for good.
    Error,
    /// The first records of each request are rejected, in a partial success.
    Partial,
}

impl Mode {
    /// All that are faults.
    pub const FAULTS: [Self; 8] =
        [Self::Refuse, Self::Reset, Self::Hang, Self::Swallow, Self::Busy, Self::Away, Self::Error, Self::Partial];
}

/// A running collector. It ends when this is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    seen: Arc<Mutex<Pieces>>,
    _runtime: tokio::runtime::Runtime,
}

impl Default for Collector {
    fn default() -> Self {
        Self::start()
    }
}

impl Collector {
    /// Listens on an address of loopback of its own, so that nobody else takes the port while it refuses.
    #[must_use]
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        let parts = [1 + process % 254, process / 254 % 256, 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 250];
        let [a, b, c] = parts.map(|part| part.to_le_bytes()[0]);
        let address = SocketAddr::from(([127, a, b, c], 4317));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (mode, watched) = watch::channel(Mode::Accept);
        let listener = runtime.block_on(TcpListener::bind(address)).expect("a port");
        let seen = Arc::new(Mutex::new(Pieces::new()));
        let judge = Judge { mode: watched.clone(), seen: Arc::clone(&seen) };
        let front = Front { address, listener: Some(listener), mode: watched };
        runtime.spawn(async move { axum::serve(front, routes(judge)).await });
        Self { address, mode, seen, _runtime: runtime }
    }

    /// Its address, as `collector.endpoint` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does otherwise from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// What has arrived.
    pub fn seen(&self) -> MutexGuard<'_, Pieces> {
        self.seen.lock().expect("no panic while it was held")
    }
}

/// The port: not there, or broken, when it is told so.
struct Front {
    address: SocketAddr,
    listener: Option<TcpListener>,
    mode: watch::Receiver<Mode>,
}

impl axum::serve::Listener for Front {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        loop {
            if *self.mode.borrow_and_update() == Mode::Refuse {
                self.listener = None;
                let _ = self.mode.wait_for(|mode| *mode != Mode::Refuse).await;
            }
            let Some(listener) = &self.listener else {
                self.listener = TcpListener::bind(self.address).await.ok();
                continue;
            };
            tokio::select! {
                Ok((outer, address)) = listener.accept() => {
                    let (inner, served) = duplex(1 << 16);
                    tokio::spawn(carry(outer, inner, self.mode.clone()));
                    return (served, address);
                }
                _ = self.mode.changed() => {}
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Carries bytes between a client and the server, until the connection is to be broken.
async fn carry(mut outer: TcpStream, mut inner: DuplexStream, mut mode: watch::Receiver<Mode>) {
    let broken = tokio::select! {
        _ = copy_bidirectional(&mut outer, &mut inner) => return,
        broken = mode.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Reset)) => broken.is_ok_and(|mode| *mode == Mode::Reset),
    };
    if broken {
        let mut some = vec![0; READ_BEFORE_RESET];
        let _ = tokio::time::timeout(RESET_WAIT, outer.read_exact(&mut some)).await;
    }
    let _ = outer.set_zero_linger();
}

fn routes(judge: Judge) -> axum::Router {
    let logs = LogsServiceServer::new(judge.clone())
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LARGEST);
    let metrics = MetricsServiceServer::new(judge.clone()).accept_compressed(CompressionEncoding::Gzip);
    let grpc = tonic::service::Routes::new(logs).add_service(metrics).into_axum_router();
    let http = axum::Router::new().route("/v1/logs", post(http_logs)).route("/v1/metrics", post(http_metrics));
    http.layer(axum::extract::DefaultBodyLimit::max(LARGEST)).with_state(judge).merge(grpc)
}

/// What becomes of a request.
enum Verdict {
    /// Taken, but for so many of its records.
    Taken(usize),
    /// Later.
    Busy,
    /// Later.
    Away,
    /// Never.
    Refused,
}

/// Decides on requests, and keeps what has arrived.
#[derive(Clone)]
struct Judge {
    mode: watch::Receiver<Mode>,
    seen: Arc<Mutex<Pieces>>,
}

impl Judge {
    async fn judge(&self, request: &ExportLogsServiceRequest) -> Verdict {
        let mode = *self.mode.borrow();
        match mode {
            // The connection breaks at any moment.
            Mode::Refuse | Mode::Reset | Mode::Away => Verdict::Away,
            Mode::Busy => Verdict::Busy,
            Mode::Accept => {
                self.keep(request, 0);
                Verdict::Taken(0)
            }
            Mode::Partial => Verdict::Taken(self.keep(request, REJECTED)),
            Mode::Error => {
                self.keep(request, usize::MAX);
                Verdict::Refused
            }
            Mode::Swallow => {
                self.keep(request, 0);
                self.wait_for_other_than(mode).await
            }
            Mode::Hang => self.wait_for_other_than(mode).await,
        }
    }

    async fn wait_for_other_than(&self, mode: Mode) -> Verdict {
        let _ = self.mode.clone().wait_for(|now| *now != mode).await;
        Verdict::Away
    }

    /// Keeps the records of a request, the first ones as refused; returns how many were.
    fn keep(&self, request: &ExportLogsServiceRequest, refused: usize) -> usize {
        let mut seen = self.seen.lock().expect("no panic while it was held");
        let mut count = 0;
        for (at, line) in lines(request).enumerate() {
            let piece = seen.entry(line.uid).or_insert_with(|| Piece { body: line.body.clone(), ..Piece::default() });
            assert_eq!(piece.body, line.body, "two records have one uid");
            if at < refused {
                piece.refused += 1;
                count += 1;
            } else {
                piece.stored += 1;
            }
        }
        count
    }
}

async fn http_logs(State(judge): State<Judge>, headers: HeaderMap, body: Bytes) -> Response {
    let request: ExportLogsServiceRequest = decode(&headers, &body);
    match judge.judge(&request).await {
        Verdict::Taken(rejected) => protobuf(&ExportLogsServiceResponse { partial_success: partial(rejected) }),
        verdict => http_failure(&verdict),
    }
}

async fn http_metrics(State(judge): State<Judge>) -> Response {
    match judge.judge(&ExportLogsServiceRequest::default()).await {
        Verdict::Taken(_) => protobuf(&ExportMetricsServiceResponse::default()),
        verdict => http_failure(&verdict),
    }
}

fn decode<M: Message + Default>(headers: &HeaderMap, body: &[u8]) -> M {
    let mut plain = Vec::new();
    let bytes = match headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes) {
        None => body,
        Some(b"gzip") => {
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut plain).expect("gzip");
            &plain
        }
        Some(other) => panic!("not known here: {other:?}"),
    };
    M::decode(bytes).expect("a request")
}

fn protobuf(message: &impl Message) -> Response {
    ([(header::CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response()
}

fn partial(rejected: usize) -> Option<ExportLogsPartialSuccess> {
    let rejected_log_records = i64::try_from(rejected).expect("not so many");
    (rejected > 0).then(|| ExportLogsPartialSuccess { rejected_log_records, error_message: "as told".to_owned() })
}

fn http_failure(verdict: &Verdict) -> Response {
    let status = match verdict {
        Verdict::Busy => StatusCode::TOO_MANY_REQUESTS,
        Verdict::Refused => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Verdict::Away | Verdict::Taken(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())]).into_response()
}

fn grpc_failure(verdict: &Verdict) -> tonic::Status {
    match verdict {
        Verdict::Busy => {
            let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
            tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "as told", details)
        }
        Verdict::Refused => tonic::Status::internal("as told"),
        Verdict::Away | Verdict::Taken(_) => tonic::Status::unavailable("as told"),
    }
}

#[tonic::async_trait]
impl LogsService for Judge {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        match self.judge(request.get_ref()).await {
            Verdict::Taken(rejected) => {
                Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success: partial(rejected) }))
            }
            verdict => Err(grpc_failure(&verdict)),
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Judge {
    async fn export(
        &self,
        _: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        match self.judge(&ExportLogsServiceRequest::default()).await {
            Verdict::Taken(_) => Ok(tonic::Response::new(ExportMetricsServiceResponse::default())),
            verdict => Err(grpc_failure(&verdict)),
        }
    }
}
