//! Scenario: programs, io.Insights and web pages send OTLP to a receiver with a real queue.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use prost::Message;
use serde_json::{Value, json};
use tonic::codec::CompressionEncoding;

use super::enrich::Enrichment;
use super::*;
use crate::config::{CollectorSettings, QueueSettings, RedactionSettings, ResourceSettings};
use crate::consent::LogKind;
use crate::otlp::{Compression, compression};
use crate::paths::DataDir;
use crate::pause::PauseFor;
use crate::pipeline::queue::{Opened, QueueThread};
use crate::redaction::UserIdentity;

mod bounds;
mod json;
mod listen;
mod pages;
mod redaction;
mod rejections;

const ORIGIN: &str = "https://desk.example.com";

/// A receiver with a real queue.
struct TestEnv {
    _folder: tempfile::TempDir,
    data: DataDir,
    queue: Queue,
    thread: QueueThread,
    pause: Pause,
    receiver: Receiver,
    http: SocketAddr,
}

impl TestEnv {
    fn start(settings: ReceiverSettings, collector: CollectorSettings, queue: &QueueSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().join("data"));
        data.create().unwrap();
        let Opened { queue, thread } = Queue::open(&data.queue(), queue, Compression::Gzip).unwrap();
        let pause = Pause::default();
        let context = ReceiverContext {
            settings,
            collector,
            queue: queue.clone(),
            resource: Resource::detect(&ResourceSettings::default(), &data),
            redactor: Arc::new(LazyRedactor::new(&RedactionSettings::default(), UserIdentity::current())),
            provider: SdkMeterProvider::default(),
            pause: pause.clone(),
            published: data.receiver(),
        };
        let receiver = Receiver::listen(context, false);
        let http = receiver.status().http.unwrap();
        let http = http.strip_prefix("http://").unwrap().parse().unwrap();
        Self { _folder: folder, data, queue, thread, pause, receiver, http }
    }

    fn with_allowed_origin() -> Self {
        let allowed_origins = vec!["https://*.example.com".parse().unwrap()];
        Self::with(ReceiverSettings { allowed_origins, ..ReceiverSettings::default() })
    }

    fn with(settings: ReceiverSettings) -> Self {
        let settings = ReceiverSettings { grpc_port: 0, http_port: 0, ..settings };
        Self::start(settings, CollectorSettings::default(), &QueueSettings::default())
    }

    /// Sends bytes on a new connection, and returns everything until it closes.
    async fn raw(&self, request: Vec<u8>) -> String {
        let address = self.http;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
            // If a request is rejected early, the rest of it cannot be written.
            let _ = stream.write_all(&request);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
        .unwrap()
    }

    async fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> String {
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        let mut request = format!("{request}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend_from_slice(body);
        self.raw(request).await
    }

    async fn queued(&self, signal: Signal) -> Vec<u8> {
        let batch = self.queue.next(signal).await.unwrap();
        self.queue.acknowledge(batch.id, 0).await;
        compression::decompress(batch.compression, &batch.payload, usize::MAX - 1).unwrap()
    }

    async fn stop(self) {
        self.receiver.stop().await;
        let thread = self.thread;
        tokio::task::spawn_blocking(move || thread.stop()).await.unwrap();
    }
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn captures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".headers.json"));
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Returns a recorded request: its description, all its bytes, and its body. `Connection` and
/// `Origin` are replaced.
fn recorded(file: &Path) -> (Value, Vec<u8>, Vec<u8>) {
    let head: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let body = PathBuf::from(file.to_string_lossy().replace(".headers.json", ".body"));
    let body = std::fs::read(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut request = format!("{} {} HTTP/1.1\r\n", text(&head["method"]), text(&head["url"]));
    let mut chunked = false;
    for pair in head["rawHeaders"].as_array().unwrap().chunks(2) {
        let (name, value) = (text(&pair[0]), text(&pair[1]));
        let value = match name.as_str() {
            "Connection" => "close".to_owned(),
            "Origin" => ORIGIN.to_owned(),
            _ => value,
        };
        chunked |= name == "Transfer-Encoding";
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    let mut request = format!("{request}\r\n").into_bytes();
    if chunked {
        for chunk in body.chunks(1000) {
            request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend_from_slice(chunk);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"0\r\n\r\n");
    } else {
        request.extend_from_slice(&body);
    }
    (head, request, body)
}

/// Returns the attributes of a resource by key.
fn attributes_of(resource: Option<&ProtoResource>) -> BTreeMap<String, String> {
    let attributes = resource.unwrap().attributes.iter();
    let all: Vec<_> = attributes
        .map(|one| (one.key.clone(), format!("{:?}", one.value.as_ref().and_then(|value| value.value.as_ref()))))
        .collect();
    let named: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(all.len(), named.len(), "no key occurs twice: {all:?}");
    named
}

/// Guarantees: recorded requests of io.Insights, from Node and from a browser, are answered as its
/// client expects, and are queued unchanged except for the added attributes of this machine.
#[tokio::test]
async fn recorded_io_insights_requests_are_accepted_unchanged() {
    let env = TestEnv::with_allowed_origin();
    for file in ["node-plain", "node-auth", "browser-cors"].into_iter().flat_map(captures) {
        let (head, request, body) = recorded(&file);
        let answer = env.raw(request).await;
        let is_browser = file.to_string_lossy().contains("browser");
        let allowed = format!("access-control-allow-origin: {ORIGIN}");
        assert_eq!(answer.contains(&allowed), is_browser, "{answer}");
        if head["method"] == "OPTIONS" {
            assert_eq!(status_of(&answer), "204", "{answer}");
            assert!(answer.contains("access-control-allow-headers: content-type"), "{answer}");
            continue;
        }
        assert_eq!(status_of(&answer), "200", "{file:?}: {answer}");
        assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
        let (sent, arrived) = if head["url"].as_str().unwrap().contains("traces") {
            let sent: ExportTraceServiceRequest = serde_json::from_slice(&body).unwrap();
            let mut arrived = ExportTraceServiceRequest::decode(env.queued(Signal::Traces).await.as_slice()).unwrap();
            let resources = (
                attributes_of(sent.resource_spans[0].resource.as_ref()),
                attributes_of(arrived.resource_spans[0].resource.as_ref()),
            );
            arrived.resource_spans[0].resource = sent.resource_spans[0].resource.clone();
            assert_eq!(arrived, sent, "everything else is unchanged");
            resources
        } else {
            let sent: ExportMetricsServiceRequest = serde_json::from_slice(&body).unwrap();
            let mut arrived =
                ExportMetricsServiceRequest::decode(env.queued(Signal::Metrics).await.as_slice()).unwrap();
            let resources = (
                attributes_of(sent.resource_metrics[0].resource.as_ref()),
                attributes_of(arrived.resource_metrics[0].resource.as_ref()),
            );
            arrived.resource_metrics[0].resource = sent.resource_metrics[0].resource.clone();
            assert_eq!(arrived, sent, "everything else is unchanged");
            resources
        };
        assert!(sent.iter().all(|(key, value)| arrived.get(key) == Some(value)), "{sent:?} {arrived:?}");
        assert!(!arrived["host.name"].contains("PW052B0C"), "this machine has only one name: {arrived:?}");
        assert_eq!(arrived["deployment.environment.name"], sent["env"]);
        assert!(arrived["ioconnect.env_region"].contains("DEMO-INTEROP.IO"), "{arrived:?}");
        assert!(arrived.contains_key("session.id") && arrived.contains_key("os.type"), "{arrived:?}");
        assert!(arrived["service.name"].contains("io.Connect Desktop"), "{arrived:?}");
    }
    env.stop().await;
}

/// Guarantees: gRPC requests are accepted on both ports, also compressed. During a pause they are
/// rejected with a retry time.
#[tokio::test]
async fn grpc_requests_are_accepted_on_both_ports() {
    let env = TestEnv::with_allowed_origin();
    let (_, _, body) = recorded(&captures("node-plain")[0]);
    let sent: ExportTraceServiceRequest = serde_json::from_slice(&body).unwrap();
    for grpc in [env.receiver.status().grpc.unwrap(), format!("http://{}", env.http)] {
        let mut client = TraceServiceClient::connect(grpc).await.unwrap().send_compressed(CompressionEncoding::Gzip);
        let answer = client.export(sent.clone()).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
        let arrived = ExportTraceServiceRequest::decode(env.queued(Signal::Traces).await.as_slice()).unwrap();
        assert_eq!(arrived.resource_spans[0].scope_spans, sent.resource_spans[0].scope_spans);
        assert!(attributes_of(arrived.resource_spans[0].resource.as_ref()).contains_key("host.id"));
    }
    env.pause.set(PauseFor::OneHour.end(&jiff::ZonedDateTime::now())).unwrap();
    let mut client = TraceServiceClient::connect(format!("http://{}", env.http)).await.unwrap();
    let refused = client.export(sent).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    let details = tonic_types::StatusExt::get_details_retry_info(&refused);
    assert!(details.and_then(|info| info.retry_delay).is_some(), "{refused}");
    env.stop().await;
}

/// Guarantees: log records are accepted and redacted only while the user shares application logs.
/// Otherwise the response has the number of rejected records, and the reason.
#[tokio::test]
async fn log_records_are_accepted_only_while_shared() {
    let env = TestEnv::with_allowed_origin();
    let text = |value: &str| json!({ "stringValue": value });
    let record = json!({
        "timeUnixNano": "1795422158727000000",
        "body": text("login with password=hunter2"),
        "attributes": [{ "key": "note", "value": { "arrayValue": { "values": [text("password=hunter2")] } } }],
    });
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record, { "body": text("plain") }] }] }] });
    let body = body.to_string().into_bytes();
    // io.Insights may be configured with any path.
    let post = || env.post("/my-collector", &["Content-Type: application/json"], &body);
    let answer = post().await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    assert!(answer.contains(r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"the user"#), "{answer}");
    assert!(env.queue.next(Signal::Logs).await.is_none());
    let mut client = LogsServiceClient::connect(format!("http://{}", env.http)).await.unwrap();
    let sent =
        ExportLogsServiceRequest::decode(crate::otlp::from_json::to_protobuf(&body).unwrap().1.as_slice()).unwrap();
    let partial = client.export(sent).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 2, "the same over gRPC");
    assert!(partial.error_message.contains("does not share"), "{partial:?}");

    env.receiver.ingest.share_logs(true).await;
    let answer = post().await;
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    let queued = env.queued(Signal::Logs).await;
    assert!(!String::from_utf8_lossy(&queued).contains("hunter2"));
    let arrived = ExportLogsServiceRequest::decode(queued.as_slice()).unwrap();
    assert_eq!(arrived.resource_logs[0].scope_logs[0].log_records.len(), 2);
    assert!(attributes_of(arrived.resource_logs[0].resource.as_ref()).contains_key("session.id"));

    assert_eq!(status_of(&post().await), "200");
    env.receiver.ingest.share_logs(false).await;
    assert_eq!(env.queue.purge(LogKind::Applications).await.unwrap(), 2, "queued records are deleted");
    let status = env.receiver.status();
    assert_eq!((status.not_shared, status.taken[&Signal::Logs]), (4, 4));
    env.stop().await;
}

/// Returns a span whose trace id is not chosen by sampling.
fn span(name: &str, attributes: &[(&str, &str)], milliseconds: u64, failed: bool) -> Value {
    let pair = |(key, value): &(&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
    let attributes: Vec<Value> = attributes.iter().map(pair).collect();
    // Each name gets its own trace.
    let trace_id = name.bytes().fold("0".repeat(32), |id, byte| format!("{id}{byte:02x}")) + "00000000000001";
    json!({
        "traceId": &trace_id[trace_id.len() - 32..], "spanId": "a1733095f300ac7a", "name": name,
        "startTimeUnixNano": "1795422158000000000",
        "endTimeUnixNano": (1_795_422_158_000_000_000 + milliseconds * 1_000_000).to_string(),
        "attributes": attributes, "events": [{ "name": "exception", "attributes": attributes }],
        "status": { "code": if failed { 2 } else { 0 } },
    })
}

fn trace(resource: &[(&str, &str)], spans: &[Value]) -> Vec<u8> {
    let pair = |(key, value): &(&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
    let resource: Vec<Value> = resource.iter().map(pair).collect();
    let scope = json!({ "spans": spans });
    json!({ "resourceSpans": [{ "resource": { "attributes": resource }, "scopeSpans": [scope] }] })
        .to_string()
        .into_bytes()
}

/// Guarantees: sampling keeps a share of the traces, and all spans of traces with a failed or slow
/// span. Dropped spans are counted, and acknowledged as accepted.
///
/// Settings: `receiver.sampling.keep_slower_than`.
#[tokio::test]
async fn failed_and_slow_traces_survive_sampling() {
    let sampling = serde_json::from_value(json!({ "ratio": 0.001, "keep_slower_than": "2s" })).unwrap();
    let env = TestEnv::with(ReceiverSettings { sampling, ..ReceiverSettings::default() });
    let mut beside = span("slow", &[], 1, false);
    beside["name"] = json!("beside the slow one");
    let mut chosen = span("chosen", &[], 1, false);
    chosen["traceId"] = json!("00000000000000000000ffffffffffff");
    let lucky = json!("000000000000000000ffffffffffffff");
    let mut by_its_id = span("by its id", &[], 1, false);
    by_its_id["traceId"] = lucky;
    let spans = [
        span("fast", &[], 1999, false),
        span("failed", &[], 1, true),
        span("slow", &[], 2000, false),
        beside,
        chosen,
        by_its_id,
    ];
    let answer = env.post("/v1/traces", &["Content-Type: application/json"], &trace(&[], &spans)).await;
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    let arrived = ExportTraceServiceRequest::decode(env.queued(Signal::Traces).await.as_slice()).unwrap();
    let names: Vec<_> = arrived.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["failed", "slow", "beside the slow one", "by its id"]);
    assert_eq!(env.receiver.status().sampled_out, 2);
    let answer = env.post("/v1/traces", &["Content-Type: application/json"], &trace(&[], &spans[..1])).await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    assert!(env.queue.next(Signal::Traces).await.is_none(), "the request has no spans left");
    env.stop().await;
}

/// Guarantees: the attributes of io.Insights are added under the agent's names too, and no existing
/// attribute is replaced. The machine keeps its own name, whatever the sender calls it.
#[tokio::test]
async fn io_insights_attributes_are_mapped_to_agent_names() {
    let env = TestEnv::with_allowed_origin();
    let own =
        [("tracingAppName", "blotter"), ("tracingAppInstanceId", "848_6"), ("env", "PROD"), ("machine", "elsewhere")];
    let existing = [("ioconnect.app.name", "mine"), ("host.name", "theirs"), ("tracingAppName", "blotter")];
    for resource in [&own[..], &existing] {
        let body = trace(resource, &[span("here", &[], 1, false)]);
        let answer = env.post("/v1/traces", &["Content-Type: application/json"], &body).await;
        assert_eq!(status_of(&answer), "200", "{answer}");
        let arrived = ExportTraceServiceRequest::decode(env.queued(Signal::Traces).await.as_slice()).unwrap();
        let attributes = attributes_of(arrived.resource_spans[0].resource.as_ref());
        let is = |key: &str, value: &str| {
            assert!(attributes[key].contains(&format!("\"{value}\"")), "{key}: {attributes:?}");
        };
        for (key, value) in resource {
            is(key, value);
        }
        if *resource == own {
            is("ioconnect.app.name", "blotter");
            is("ioconnect.instance.id", "848_6");
            is("deployment.environment.name", "PROD");
            is("host.name", &sysinfo::System::host_name().unwrap());
        }
    }
    env.stop().await;
}

/// Guarantees: when the queue is nearly full, requests are rejected over HTTP and gRPC with a retry
/// time, and no acknowledged data is dropped for them. When there is room again, they are accepted.
/// Rejected data is counted only as rejected.
#[tokio::test]
async fn full_queue_rejects_requests_with_retry_time() {
    let sampling = serde_json::from_value(json!({ "ratio": 0.000_001, "keep_errors": true })).unwrap();
    let settings = ReceiverSettings { grpc_port: 0, http_port: 0, sampling, ..ReceiverSettings::default() };
    let queue = serde_json::from_value(json!({ "max_bytes": "1 MiB" })).unwrap();
    let env = TestEnv::start(settings, CollectorSettings::default(), &queue);
    let noise = || (0..60_000).map(|_| fastrand::alphanumeric()).collect::<String>();
    let post = async || {
        let body = trace(&[], &[span(&noise(), &[], 1, true), span("left out", &[], 1, false)]);
        env.post("/v1/traces", &["Content-Type: application/json"], &body).await
    };
    let mut accepted = 0;
    let refused = loop {
        let answer = post().await;
        if status_of(&answer) != "200" {
            break answer;
        }
        accepted += 1;
    };
    assert_eq!(status_of(&refused), "429", "{refused}");
    assert!(refused.contains("retry-after: 5\r\n") && refused.contains("the queue is full"), "{refused}");
    let mut client = TraceServiceClient::connect(format!("http://{}", env.http)).await.unwrap();
    let body: ExportTraceServiceRequest = serde_json::from_slice(&trace(&[], &[span(&noise(), &[], 1, true)])).unwrap();
    let refused = client.export(body).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    assert!(tonic_types::StatusExt::get_details_retry_info(&refused).is_some(), "{refused}");
    let stats = env.queue.watch().borrow().clone();
    assert_eq!(stats.of(Signal::Traces).items, accepted);
    assert_eq!(env.receiver.status().sampled_out, accepted, "a rejected request is sent again, and counted then");
    for _ in 0..2 {
        let _ = env.queued(Signal::Traces).await;
    }
    assert_eq!(status_of(&post().await), "200");
    env.stop().await;
}

/// Guarantees: enrichment keeps unknown fields at every level and in their order, and never
/// replaces an existing attribute.
#[test]
fn enrichment_keeps_unknown_fields() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::new(folder.path().join("data"));
    data.create().unwrap();
    let enrichment = Enrichment::new(&Resource::detect(&ResourceSettings::default(), &data));
    // Fields 1000 (varint), 1001 (8 bytes), 1002 (text), 1003 (4 bytes).
    let unknown = b"\xc0\x3e\x07\xc9\x3e12345678\xd2\x3e\x03abc\xdd\x3e1234";
    let own = b"\x0a\x14\x0a\x09host.name\x12\x07\x0a\x05their";
    let field = |content: &[u8]| [b"\x0a", &[u8::try_from(content.len()).unwrap()][..], content].concat();
    let resource = [&own[..], unknown].concat();
    let of_resource = [field(&resource), unknown.to_vec(), b"\x12\x00".to_vec()].concat();
    let request = [unknown.to_vec(), field(&of_resource), unknown.to_vec()].concat();
    let enriched = enrichment.apply(&request).unwrap();
    let found = enriched.windows(unknown.len()).filter(|window| window == unknown).count();
    assert_eq!(found, 4, "two in the request, one in ResourceSpans, one in the resource");
    assert!(enriched.starts_with(unknown) && enriched.ends_with(unknown));
    let arrived = ExportTraceServiceRequest::decode(enriched.as_slice()).unwrap();
    assert_eq!(
        attributes_of(arrived.resource_spans[0].resource.as_ref())["host.name"],
        r#"Some(StringValue("their"))"#
    );
    assert_eq!(arrived.resource_spans[0].scope_spans.len(), 1);
    for cut in 1..request.len() {
        // A truncated request is an error or a shorter request, never a panic.
        let _ = enrichment.apply(&request[..cut]);
    }
}
