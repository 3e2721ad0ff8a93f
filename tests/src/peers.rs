//! Real receivers beside the agent: the OpenTelemetry Collector, and VictoriaMetrics behind it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{free_port, peer, wait_for};

/// A program that ends when this is dropped.
#[derive(Debug)]
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A collector that writes all it gets to a file in words (the debug exporter) and passes metrics on to
/// VictoriaMetrics.
#[derive(Debug)]
pub struct Backend {
    _programs: [Peer; 2],
    dir: TempDir,
    /// Port for OTLP/gRPC.
    pub grpc: u16,
    /// Port for OTLP/HTTP.
    pub http: u16,
    query: u16,
}

impl Backend {
    /// Starts both. None, said aloud, when the run leaves them out.
    #[must_use]
    pub fn start() -> Option<Self> {
        let (collector, database) = (peer("OTELCOL")?, peer("VICTORIA_METRICS")?);
        let dir = tempfile::tempdir().expect("a folder");
        let (grpc, http, query) = (free_port(), free_port(), free_port());

        let mut command = Command::new(database);
        command.arg(format!("-storageDataPath={}", dir.path().join("metrics").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{query}")).arg("-opentelemetry.usePrometheusNaming");
        // By default queries see nothing of the last 30 s.
        command.arg("-search.latencyOffset=0s");
        let database = Peer(quiet(&mut command).spawn().expect("VictoriaMetrics starts"));

        let config = dir.path().join("collector.yaml");
        fs::write(&config, configuration(grpc, http, query)).expect("room on the disk");
        let output = File::create(dir.path().join("collector.log")).expect("a file");
        let mut command = Command::new(collector);
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let collector = Peer(command.spawn().expect("the collector starts"));

        for (what, port) in [("VictoriaMetrics", query), ("the collector's gRPC", grpc), ("the collector's HTTP", http)]
        {
            wait_for(what, || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        Some(Self { _programs: [collector, database], dir, grpc, http, query })
    }

    /// What the debug exporter has written.
    #[must_use]
    pub fn written(&self) -> String {
        fs::read_to_string(self.dir.path().join("collector.log")).expect("the collector's output")
    }

    /// The series that a `PromQL` query finds: labels and value of each.
    #[must_use]
    pub fn query(&self, promql: &str) -> Vec<(Value, f64)> {
        // What was written last is not searchable before a flush.
        let _ = self.get("/internal/force_flush");
        let encoded = promql.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"));
        let answer: Value = serde_json::from_str(&self.get(&format!("/api/v1/query?query={encoded}"))).expect("JSON");
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |one: &Value| one["value"][1].as_str().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN);
        series.iter().map(|one| (one["metric"].clone(), value(one))).collect()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.query)).expect("VictoriaMetrics");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn configuration(grpc: u16, http: u16, query: u16) -> String {
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '127.0.0.1:{grpc}'}}
      http: {{endpoint: '127.0.0.1:{http}'}}
exporters:
  debug: {{verbosity: detailed}}
  otlp_http:
    metrics_endpoint: http://127.0.0.1:{query}/opentelemetry/v1/metrics
    compression: gzip
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [debug]}}
    traces: {{receivers: [otlp], exporters: [debug]}}
    metrics: {{receivers: [otlp], exporters: [debug, otlp_http]}}
"
    )
}
