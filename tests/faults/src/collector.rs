//! A collector that fails on command: OTLP over gRPC and HTTP/1.1, on one port.
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

/// Maximum size of a request, in bytes: more than the agent ever sends.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// Delay that a busy collector asks for.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Log records that a partial success rejects in each request.
const REJECTED_RECORDS: usize = 3;
/// Bytes that are read from a connection before it is reset: a part of the headers or of the body.
const READ_BEFORE_RESET: usize = 600;
/// Maximum wait for these bytes.
const RESET_WAIT: Duration = Duration::from_millis(200);

/// How the collector behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Accepts everything.
    Accept,
    /// Does not listen, and closes open connections.
    Refuse,
    /// Accepts connections, and resets them in the middle of a request.
    Reset,
    /// Reads requests and never responds.
    Hang,
    /// Accepts requests, but never responds.
    Swallow,
    /// HTTP 429, gRPC `RESOURCE_EXHAUSTED` with `RetryInfo`.
    Busy,
    /// HTTP 503, gRPC `UNAVAILABLE`.
    Unavailable,
    /// HTTP 500, gRPC `INTERNAL`: rejects permanently.
    Error,
    /// Rejects the first records of each request, with a partial success.
    Partial,
}

impl Mode {
    /// All modes that are faults.
    pub const FAULTS: [Self; 8] = [
        Self::Refuse,
        Self::Reset,
        Self::Hang,
        Self::Swallow,
        Self::Busy,
        Self::Unavailable,
        Self::Error,
        Self::Partial,
    ];
}

/// A running collector. It stops when this is dropped.
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
    /// Starts a collector on a loopback address that no other collector uses, so that its port
    /// stays free while it does not listen.
    #[must_use]
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        let parts = [1 + process % 254, process / 254 % 256, 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 250];
        let [a, b, c] = parts.map(|part| part.to_le_bytes()[0]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (mode, watched) = watch::channel(Mode::Accept);
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, a, b, c], 0)))).expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Pieces::new()));
        let judge = Judge { mode: watched.clone(), seen: Arc::clone(&seen) };
        let listener = Listener { address, socket: Some(listener), mode: watched };
        runtime.spawn(async move { axum::serve(listener, routes(judge)).await });
        Self { address, mode, seen, _runtime: runtime }
    }

    /// Returns its address as a value of `collector.endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how it behaves.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Returns what has arrived.
    pub fn seen(&self) -> MutexGuard<'_, Pieces> {
        self.seen.lock().expect("no panic while it was held")
    }
}

/// The listening port, which closes and resets connections as the mode says.
struct Listener {
    address: SocketAddr,
    socket: Option<TcpListener>,
    mode: watch::Receiver<Mode>,
}

impl axum::serve::Listener for Listener {
    type Io = DuplexStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (DuplexStream, SocketAddr) {
        loop {
            if *self.mode.borrow_and_update() == Mode::Refuse {
                self.socket = None;
                let _ = self.mode.wait_for(|mode| *mode != Mode::Refuse).await;
            }
            let Some(listener) = &self.socket else {
                self.socket = TcpListener::bind(self.address).await.ok();
                continue;
            };
            tokio::select! {
                Ok((outer, address)) = listener.accept() => {
                    let (inner, served) = duplex(1 << 16);
                    tokio::spawn(forward(outer, inner, self.mode.clone()));
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

/// Forwards bytes between a client and the server, until the mode breaks the connection.
async fn forward(mut outer: TcpStream, mut inner: DuplexStream, mut mode: watch::Receiver<Mode>) {
    let is_reset = tokio::select! {
        _ = copy_bidirectional(&mut outer, &mut inner) => return,
        broken = mode.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Reset)) => broken.is_ok_and(|mode| *mode == Mode::Reset),
    };
    if is_reset {
        let mut some = vec![0; READ_BEFORE_RESET];
        let _ = tokio::time::timeout(RESET_WAIT, outer.read_exact(&mut some)).await;
    }
    let _ = outer.set_zero_linger();
}

fn routes(judge: Judge) -> axum::Router {
    let logs = LogsServiceServer::new(judge.clone())
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let metrics = MetricsServiceServer::new(judge.clone()).accept_compressed(CompressionEncoding::Gzip);
    let grpc = tonic::service::Routes::new(logs).add_service(metrics).into_axum_router();
    let http = axum::Router::new().route("/v1/logs", post(http_logs)).route("/v1/metrics", post(http_metrics));
    http.layer(axum::extract::DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(judge).merge(grpc)
}

/// The response to a request.
enum Verdict {
    /// Accepted, except for this many records.
    Accepted(usize),
    /// Rejected with a delay; the sender retries.
    Busy,
    /// Unavailable; the sender retries.
    Unavailable,
    /// Rejected permanently.
    Rejected,
}

/// Responds to requests as the mode says, and keeps what has arrived.
#[derive(Clone)]
struct Judge {
    mode: watch::Receiver<Mode>,
    seen: Arc<Mutex<Pieces>>,
}

impl Judge {
    async fn judge(&self, request: &ExportLogsServiceRequest) -> Verdict {
        let mode = *self.mode.borrow();
        match mode {
            // `forward` breaks the connection.
            Mode::Refuse | Mode::Reset | Mode::Unavailable => Verdict::Unavailable,
            Mode::Busy => Verdict::Busy,
            Mode::Accept => {
                self.keep(request, 0);
                Verdict::Accepted(0)
            }
            Mode::Partial => Verdict::Accepted(self.keep(request, REJECTED_RECORDS)),
            Mode::Error => {
                self.keep(request, usize::MAX);
                Verdict::Rejected
            }
            Mode::Swallow => {
                self.keep(request, 0);
                self.wait_for_other_mode(mode).await
            }
            Mode::Hang => self.wait_for_other_mode(mode).await,
        }
    }

    async fn wait_for_other_mode(&self, mode: Mode) -> Verdict {
        let _ = self.mode.clone().wait_for(|now| *now != mode).await;
        Verdict::Unavailable
    }

    /// Keeps the records of a request, the first ones as rejected; returns how many were rejected.
    fn keep(&self, request: &ExportLogsServiceRequest, refused: usize) -> usize {
        let mut seen = self.seen.lock().expect("no panic while it was held");
        let mut count = 0;
        for (at, line) in lines(request).enumerate() {
            let piece = seen.entry(line.uid).or_insert_with(|| Piece { body: line.body.clone(), ..Piece::default() });
            assert_eq!(piece.body, line.body, "two records have one uid");
            if at < refused {
                piece.rejected += 1;
                count += 1;
            } else {
                piece.accepted += 1;
            }
        }
        count
    }
}

async fn http_logs(State(judge): State<Judge>, headers: HeaderMap, body: Bytes) -> Response {
    let request: ExportLogsServiceRequest = decode(&headers, &body);
    match judge.judge(&request).await {
        Verdict::Accepted(rejected) => protobuf(&ExportLogsServiceResponse { partial_success: partial(rejected) }),
        verdict => http_failure(&verdict),
    }
}

async fn http_metrics(State(judge): State<Judge>) -> Response {
    match judge.judge(&ExportLogsServiceRequest::default()).await {
        Verdict::Accepted(_) => protobuf(&ExportMetricsServiceResponse::default()),
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
        Some(other) => panic!("unexpected encoding: {other:?}"),
    };
    M::decode(bytes).expect("a request")
}

fn protobuf(message: &impl Message) -> Response {
    ([(header::CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response()
}

fn partial(rejected: usize) -> Option<ExportLogsPartialSuccess> {
    let rejected_log_records = i64::try_from(rejected).expect("a small number");
    (rejected > 0).then(|| ExportLogsPartialSuccess { rejected_log_records, error_message: "as configured".to_owned() })
}

fn http_failure(verdict: &Verdict) -> Response {
    let status = match verdict {
        Verdict::Busy => StatusCode::TOO_MANY_REQUESTS,
        Verdict::Rejected => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Verdict::Unavailable | Verdict::Accepted(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())]).into_response()
}

fn grpc_failure(verdict: &Verdict) -> tonic::Status {
    match verdict {
        Verdict::Busy => {
            let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
            tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "as configured", details)
        }
        Verdict::Rejected => tonic::Status::internal("as configured"),
        Verdict::Unavailable | Verdict::Accepted(_) => tonic::Status::unavailable("as configured"),
    }
}

#[tonic::async_trait]
impl LogsService for Judge {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        match self.judge(request.get_ref()).await {
            Verdict::Accepted(rejected) => {
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
            Verdict::Accepted(_) => Ok(tonic::Response::new(ExportMetricsServiceResponse::default())),
            verdict => Err(grpc_failure(&verdict)),
        }
    }
}
