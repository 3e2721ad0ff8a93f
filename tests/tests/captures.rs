//! Scenario: the recorded requests of io.Insights' own client are sent through the built agent and
//! the real Collector.

#![cfg(unix)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::Uri;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::Value;
use test_support::test_env::TestEnv;
use test_support::{free_port, peer, wait_for};

/// The attributes that the agent adds to every resource.
const ADDED: [&str; 6] =
    ["host.name", "os.type", "session.id", "deployment.environment.name", "ioconnect.env_region", "department"];

/// The Collector, and what it has passed on: path and body of each request.
struct Collector {
    program: Child,
    _folder: tempfile::TempDir,
    grpc: u16,
    arrived: Arc<Mutex<Vec<(String, Bytes)>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start() -> Option<Self> {
        let program = peer("OTELCOL")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let arrived: Arc<Mutex<Vec<(String, Bytes)>>> = Arc::default();
        let keep = Arc::clone(&arrived);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let behind = listener.local_addr().unwrap().port();
        let router = axum::Router::new().fallback(async move |uri: Uri, body: Bytes| {
            keep.lock().unwrap().push((uri.path().to_owned(), body));
        });
        runtime.spawn(async move { axum::serve(listener, router).await });
        let (folder, grpc) = (tempfile::tempdir().unwrap(), free_port());
        let config = folder.path().join("collector.yaml");
        let text = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}}}}}}}
exporters: {{otlp_http: {{endpoint: 'http://127.0.0.1:{behind}', compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_http]}}
    metrics: {{receivers: [otlp], exporters: [otlp_http]}}
"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.spawn().unwrap();
        wait_for("the collector", || TcpStream::connect(("127.0.0.1", grpc)).ok());
        Some(Self { program, _folder: folder, grpc, arrived, _runtime: runtime })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Returns the head of a recorded request, the request as bytes (with `Connection: close`), and its
/// body.
fn recorded(file: &Path) -> (Value, Vec<u8>, Vec<u8>) {
    let head: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let body = PathBuf::from(file.to_string_lossy().replace(".headers.json", ".body"));
    let body = std::fs::read(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut request = format!("{} {} HTTP/1.1\r\n", text(&head["method"]), text(&head["url"]));
    let mut chunked = false;
    for pair in head["rawHeaders"].as_array().unwrap().chunks(2) {
        let (name, value) = (text(&pair[0]), text(&pair[1]));
        let value = if name == "Connection" { "close".to_owned() } else { value };
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

fn origin(head: &Value) -> Option<String> {
    let headers = head["rawHeaders"].as_array().unwrap();
    headers.chunks(2).find(|pair| pair[0] == "Origin").map(|pair| pair[1].as_str().unwrap().to_owned())
}

/// Removes the added attributes, which must all be present; returns the resource as it was sent.
fn without_added(arrived: &Resource, sent: &Resource) -> Resource {
    let mut own = arrived.clone();
    own.attributes.retain(|one| sent.attributes.iter().any(|its| its.key == one.key));
    for key in ADDED {
        assert_eq!(arrived.attributes.iter().filter(|one| one.key == key).count(), 1, "{key}: {arrived:?}");
    }
    own
}

/// Guarantees: each recorded request, including preflight requests, gets the response that the real
/// client expects. What arrives behind the Collector equals what was sent, apart from the added
/// attributes.
#[test]
fn recorded_requests_arrive_unchanged_apart_from_added_attributes() {
    let Some(collector) = Collector::start() else { return };
    let mut files = Vec::new();
    for folder in ["node-plain", "node-auth", "browser-cors"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(folder);
        files.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| file.to_string_lossy().ends_with(".headers.json"));
    files.sort();
    assert_eq!(files.len(), 12);
    let origin = files.iter().find_map(|file| origin(&recorded(file).0)).unwrap();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", collector.grpc));
    env.set(format!("receiver.allowed_origins=[\"{origin}\"]"));
    env.set("resource.attributes.department=trading");
    let agent = env.start();
    let address = env.status()["receiver"]["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    for file in files {
        let (head, request, body) = recorded(&file);
        let before = collector.arrived.lock().unwrap().len();
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        if head["method"] == "OPTIONS" {
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
            assert!(answer.contains(&format!("access-control-allow-origin: {origin}\r\n")), "{answer}");
            continue;
        }
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n{}"), "{file:?}: {answer}");
        // The agent's own data arrives there too.
        let is_ours = |body: &Bytes| !body.windows(14).any(|part| part == b"insights-agent");
        let (path, arrived) = wait_for("the request", || {
            let arrived = collector.arrived.lock().unwrap();
            arrived[before..].iter().find(|(_, body)| is_ours(body)).cloned()
        });
        if path == "/v1/traces" {
            let sent: ExportTraceServiceRequest = serde_json::from_slice(&body).unwrap();
            let mut arrived = ExportTraceServiceRequest::decode(arrived).unwrap();
            let resource = &mut arrived.resource_spans[0].resource;
            *resource =
                Some(without_added(resource.as_ref().unwrap(), sent.resource_spans[0].resource.as_ref().unwrap()));
            assert_eq!(arrived, sent, "{file:?}");
        } else {
            let sent: ExportMetricsServiceRequest = serde_json::from_slice(&body).unwrap();
            let mut arrived = ExportMetricsServiceRequest::decode(arrived).unwrap();
            let resource = &mut arrived.resource_metrics[0].resource;
            *resource =
                Some(without_added(resource.as_ref().unwrap(), sent.resource_metrics[0].resource.as_ref().unwrap()));
            assert_eq!(arrived, sent, "{file:?}");
        }
    }
    assert!(agent.stop());
}
