//! Scenario: clients send to the debug collector over real sockets. The printed text is tested in
//! `rendering`.

mod rendering;

use std::io::Write as _;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::*;

/// 2026-03-04 05:06:07.890 UTC.
const TIME: u64 = 1_772_600_767_890_000_000;

// ---- data ----

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Any::StringValue(value.to_owned())) }
}

fn attributes(all: &[(&str, &str)]) -> Vec<KeyValue> {
    all.iter()
        .map(|(key, value)| KeyValue { key: (*key).to_owned(), value: Some(text(value)), key_strindex: 0 })
        .collect()
}

fn resource(version: &str) -> Resource {
    let all = [("service.name", "insights-agent"), ("host.name", "desk-7"), ("service.version", version)];
    Resource { attributes: attributes(&all), ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "tests".to_owned(), ..InstrumentationScope::default() }
}

fn logs(records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records: records, ..ScopeLogs::default() }];
    let one = ResourceLogs { resource: Some(resource("1")), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![one] }
}

fn record(severity_number: i32, severity_text: &str, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: TIME,
        observed_time_unix_nano: TIME + 1,
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(text(body)),
        ..LogRecord::default()
    }
}

fn metrics(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    let one = ResourceMetrics { resource: Some(resource("1")), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![one] }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn point(value: Number, all: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(all),
        time_unix_nano: TIME,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

/// Returns a metric of every type, and one without data.
fn every_metric() -> ExportMetricsServiceRequest {
    let states = [("used", 3 << 30), ("free", 512 << 20)];
    let used = states.map(|(state, value)| point(Number::AsInt(value), &[("system.memory.state", state)]));
    let share = point(Number::AsDouble(0.1234), &[("cpu.logical_number", "0"), ("a.state", "x"), ("b.state", "y")]);
    let histogram = HistogramDataPoint {
        attributes: attributes(&[("ioconnect.app.name", "blotter")]),
        time_unix_nano: TIME,
        count: 3,
        sum: Some(1.5),
        min: Some(0.012),
        max: Some(1.2),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.1],
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        count: 2,
        sum: Some(96.0),
        scale: 3,
        ..ExponentialHistogramDataPoint::default()
    };
    let quantile_values =
        [(0.0, 1.0), (0.5, 5.0), (1.0, 9.0)].map(|(quantile, value)| ValueAtQuantile { quantile, value }).to_vec();
    let summary = SummaryDataPoint { count: 4, sum: 20.0, quantile_values, ..SummaryDataPoint::default() };
    metrics(vec![
        metric(
            "system.memory.usage",
            "By",
            Data::Sum(Sum { data_points: used.to_vec(), aggregation_temporality: 2, is_monotonic: false }),
        ),
        metric("system.cpu.utilization", "1", Data::Gauge(Gauge { data_points: vec![share] })),
        metric("system.uptime", "s", Data::Gauge(Gauge { data_points: vec![point(Number::AsDouble(3725.0), &[])] })),
        metric(
            "app.start",
            "s",
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        ),
        metric(
            "queue.wait",
            "ms",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ),
        metric("rpc.size", "{call}", Data::Summary(Summary { data_points: vec![summary] })),
        Metric { name: "empty".to_owned(), ..Metric::default() },
    ])
}

fn traces() -> ExportTraceServiceRequest {
    let span = |name: &str, nanos: u64, status: Option<Status>| Span {
        trace_id: vec![0xab; 16],
        span_id: vec![1; 8],
        name: name.to_owned(),
        kind: 3,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + nanos,
        status,
        ..Span::default()
    };
    let spans = vec![
        span("GET /quotes", 12_340_000, None),
        span("open blotter", 61_000_000_000, Some(Status { message: "timeout".to_owned(), code: 2 })),
    ];
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let one = ResourceSpans { resource: Some(resource("1")), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![one] }
}

// ---- the collector and its clients ----

struct Running {
    grpc: String,
    http: String,
    lines: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Totals>,
}

impl Running {
    async fn start(format: Format) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let collector = bind(&Options { grpc: any, http: any, format, colour: false }).await.unwrap();
        let grpc = format!("http://{}", collector.grpc_addr());
        let http = format!("http://{}", collector.http_addr());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let printed = Arc::clone(&lines);
        let print = move |line: &str| printed.lock().push(line.to_owned());
        let run = tokio::spawn(collector.run(print, async move { stopped.await.unwrap_or_default() }));
        Self { grpc, http, lines, stop, run }
    }

    async fn stop(self) -> (Totals, Vec<String>) {
        self.stop.send(()).unwrap();
        let totals = self.run.await.unwrap();
        let lines = self.lines.lock().clone();
        (totals, lines)
    }

    /// Posts protobuf, and returns the status, content type and body of the response.
    async fn post(&self, path: &str, encoding: Option<&str>, body: Vec<u8>) -> (u16, String, Vec<u8>) {
        let request = client().post(format!("{}{path}", self.http)).header("content-type", "application/x-protobuf");
        let request = match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        answer(request.body(body)).await
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String, Vec<u8>) {
    let answer = request.send().await.unwrap();
    let content_type = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), content_type.unwrap_or_default(), answer.bytes().await.unwrap().to_vec())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn reason(body: &[u8]) -> String {
    tonic_types::Status::decode(body).unwrap().message
}

fn totals(requests: u64, items: u64, bytes: usize) -> SignalTotals {
    SignalTotals { requests, items, bytes: bytes as u64 }
}

// ---- receiving ----

/// Guarantees: every signal is acknowledged and counted over gRPC, in every compression.
#[tokio::test]
async fn grpc_accepts_every_signal_in_every_compression() {
    let collector = Running::start(Format::Count).await;
    let (metrics, traces, logs) = (every_metric(), traces(), logs(vec![record(9, "INFO", "hello")]));
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        macro_rules! send {
            ($client:ident, $request:expr) => {{
                let mut client = $client::connect(collector.grpc.clone()).await.unwrap();
                if let Some(compression) = compression {
                    client = client.send_compressed(compression);
                }
                assert_eq!(client.export($request.clone()).await.unwrap().into_inner().partial_success, None);
            }};
        }
        send!(MetricsServiceClient, metrics);
        send!(TraceServiceClient, traces);
        send!(LogsServiceClient, logs);
    }
    let (counted, lines) = collector.stop().await;
    assert_eq!(counted.metrics, totals(3, 3 * 7, 3 * metrics.encoded_len()));
    assert_eq!(counted.traces, totals(3, 3 * 2, 3 * traces.encoded_len()));
    assert_eq!(counted.logs, totals(3, 3, 3 * logs.encoded_len()));
    assert_eq!(lines.last(), Some(&format!("total: {counted}")));
}

/// Guarantees: every signal is acknowledged with an empty protobuf response and counted over HTTP,
/// in every compression.
#[tokio::test]
async fn http_accepts_every_signal_in_every_compression() {
    let collector = Running::start(Format::Count).await;
    let all = [
        ("/v1/metrics", every_metric().encode_to_vec()),
        ("/v1/traces", traces().encode_to_vec()),
        ("/v1/logs", logs(vec![record(9, "INFO", "hello")]).encode_to_vec()),
    ];
    for (path, plain) in &all {
        let zstd = zstd::bulk::compress(plain, 1).unwrap();
        for (encoding, body) in [
            (None, plain.clone()),
            (Some("identity"), plain.clone()),
            (Some("gzip"), gzip(plain)),
            (Some("GZIP"), gzip(plain)),
            (Some("zstd"), zstd),
        ] {
            let (status, content_type, body) = collector.post(path, encoding, body).await;
            assert_eq!((status, content_type.as_str()), (200, "application/x-protobuf"), "{path} {encoding:?}");
            assert_eq!(ExportLogsServiceResponse::decode(&*body).unwrap(), ExportLogsServiceResponse::default());
        }
    }
    let (counted, _) = collector.stop().await;
    assert_eq!(counted.metrics, totals(5, 5 * 7, 5 * all[0].1.len()));
    assert_eq!(counted.traces, totals(5, 5 * 2, 5 * all[1].1.len()));
    assert_eq!(counted.logs, totals(5, 5, 5 * all[2].1.len()));
}

/// Guarantees: a body that is too large is rejected with 413, whether compressed or decompressed.
#[tokio::test]
async fn http_rejects_decompression_bombs_and_large_bodies() {
    let collector = Running::start(Format::Count).await;
    let zeros = vec![0; MAX_REQUEST_BYTES + 1];
    for (encoding, body) in [("gzip", gzip(&zeros)), ("zstd", zstd::bulk::compress(&zeros, 1).unwrap())] {
        assert!(body.len() < MAX_BODY_BYTES);
        let (status, _, body) = collector.post("/v1/logs", Some(encoding), body).await;
        assert_eq!((status, reason(&body)), (413, "the body is more than 67108864 bytes when decompressed".to_owned()));
    }
    let (status, _, body) = collector.post("/v1/logs", None, vec![0; MAX_BODY_BYTES + 1]).await;
    assert_eq!((status, reason(&body)), (413, "the body is larger than 16777216 bytes".to_owned()));
    assert_eq!(collector.stop().await.0, Totals::default());
}

/// Guarantees: a gRPC message that is too large when decompressed is rejected, and the collector
/// continues.
#[tokio::test]
async fn grpc_rejects_decompression_bombs() {
    let collector = Running::start(Format::Count).await;
    let bomb = logs(vec![record(9, "INFO", &" ".repeat(MAX_REQUEST_BYTES))]);
    for compression in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let client = LogsServiceClient::connect(collector.grpc.clone()).await.unwrap();
        let refused = client.send_compressed(compression).export(bomb.clone()).await.unwrap_err();
        assert!(matches!(refused.code(), Code::ResourceExhausted | Code::OutOfRange), "{refused:?}");
    }
    let mut client = LogsServiceClient::connect(collector.grpc.clone()).await.unwrap();
    client.export(logs(vec![record(9, "INFO", "hello")])).await.unwrap();
    assert_eq!(collector.stop().await.0.logs.items, 1);
}

/// Guarantees: an invalid request is rejected with a status, and a reason that names what is
/// accepted.
#[tokio::test]
async fn http_rejections_name_the_reason() {
    let collector = Running::start(Format::Count).await;
    let protobuf = |encoding, body: &str| collector.post("/v1/logs", encoding, body.as_bytes().to_vec());
    let (status, content_type, body) = protobuf(None, "not protobuf").await;
    assert_eq!((status, content_type.as_str()), (400, "application/x-protobuf"));
    assert!(reason(&body).starts_with("the body is not an OTLP request for logs: "), "{}", reason(&body));
    let (status, _, body) = protobuf(Some("gzip"), "not gzip").await;
    assert_eq!((status, reason(&body).starts_with("the body is not gzip: ")), (400, true));
    let (status, _, body) = protobuf(Some("zstd"), "not zstd").await;
    assert_eq!((status, reason(&body).starts_with("the body is not zstd: ")), (400, true));
    let (status, _, body) = protobuf(Some("br"), "").await;
    let wanted = "unknown content-encoding br: use gzip, zstd or identity";
    assert_eq!((status, reason(&body).as_str()), (415, wanted));

    let url = |path: &str| format!("{}{path}", collector.http);
    let json = client().post(url("/v1/logs")).header("content-type", "application/json; charset=utf-8").body("{}");
    let plain = "text/plain; charset=utf-8".to_owned();
    let wanted = "this collector accepts only application/x-protobuf, not application/json; charset=utf-8\n";
    assert_eq!(answer(json).await, (415, plain.clone(), wanted.into()));
    let wanted = "the content-type is missing: this collector accepts only application/x-protobuf\n";
    assert_eq!(answer(client().post(url("/v1/logs"))).await, (415, plain.clone(), wanted.into()));
    let allowed = client().get(url("/v1/logs")).send().await.unwrap().headers().get("allow").cloned();
    assert_eq!(allowed.unwrap(), "POST");
    let wanted = "OTLP over HTTP requires POST\n";
    assert_eq!(answer(client().get(url("/v1/logs"))).await, (405, plain.clone(), wanted.into()));
    let wanted = "unknown path: OTLP over HTTP has the paths /v1/metrics, /v1/traces, /v1/logs\n";
    assert_eq!(answer(client().post(url("/v1/log"))).await, (404, plain, wanted.into()));
    assert_eq!(collector.stop().await.0, Totals::default());
}

/// Guarantees: a client that never finishes its request does not delay a shutdown, and earlier
/// requests of others are printed.
#[tokio::test]
async fn shutdown_does_not_wait_for_hanging_request() {
    let collector = Running::start(Format::Json).await;
    let (status, ..) = collector.post("/v1/logs", None, logs(vec![record(9, "INFO", "x")]).encode_to_vec()).await;
    assert_eq!(status, 200);
    let address = collector.http.strip_prefix("http://").unwrap();
    let mut hanging = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut hanging, head).await.unwrap();
    let (counted, lines) = collector.stop().await;
    assert_eq!((counted.logs.items, lines.len()), (1, 1));
}

/// Guarantees: when the collector stops while clients send continuously, every acknowledged request
/// is counted, and at most one more for each client: the one that was in progress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_requests_are_counted_on_shutdown() {
    const CLIENTS: u64 = 4;
    let collector = Running::start(Format::Text).await;
    let (first, mut some) = tokio::sync::mpsc::channel(1);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = LogsServiceClient::connect(collector.grpc.clone()).await.unwrap();
        let first = first.clone();
        clients.spawn(async move {
            let mut acknowledged = 0;
            while client.export(logs(vec![record(9, "INFO", "x")])).await.is_ok() {
                acknowledged += 1;
                let _ = first.try_send(());
            }
            acknowledged
        });
    }
    some.recv().await.unwrap();
    let (counted, _) = collector.stop().await;
    let acknowledged: u64 = clients.join_all().await.into_iter().sum();
    assert!(counted.logs.requests >= acknowledged, "{counted} but {acknowledged} were acknowledged");
    assert!(counted.logs.requests <= acknowledged + CLIENTS, "{counted} but {acknowledged} were acknowledged");
}

// ---- binding ----

/// Guarantees: the error for a busy port names the port and what to do.
#[tokio::test]
async fn bind_error_names_busy_port() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let first = bind(&Options { grpc: any, http: any, ..Options::default() }).await.unwrap();
    let port = first.http_addr().port();
    let error = bind(&Options { grpc: any, http: first.http_addr(), ..Options::default() }).await.unwrap_err();
    assert!(matches!(error, BindError::PortInUse { protocol: "HTTP", .. }), "{error:?}");
    let wanted = format!("port {port} of 127.0.0.1 for OTLP over HTTP is in use: stop the program that uses it");
    assert!(error.to_string().starts_with(&wanted), "{error}");
}

/// Guarantees: the collector does not listen on addresses that other machines can reach.
#[tokio::test]
async fn bind_rejects_addresses_outside_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:4317"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = bind(&Options { grpc: address, ..Options::default() }).await.unwrap_err();
        assert!(matches!(error, BindError::NotLoopback { .. }), "{error:?}");
        assert!(error.to_string().contains("it listens on loopback only; use 127.0.0.1:"), "{error}");
    }
}
