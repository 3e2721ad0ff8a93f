//! Real receivers: the OpenTelemetry Collector, with VictoriaMetrics and Prometheus behind it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{free_port, peer, wait_for};

/// A program that is killed when this is dropped.
#[derive(Debug)]
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The database that a query goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Always present.
    VictoriaMetrics,
    /// Present only with [`Backend::start_as_shipped`].
    Prometheus,
}

/// A Collector that writes everything it receives to a file (the debug exporter) and passes metrics
/// on to VictoriaMetrics.
#[derive(Debug)]
pub struct Backend {
    _programs: Vec<Peer>,
    dir: TempDir,
    prometheus: u16,
    /// Port for OTLP/gRPC.
    pub grpc: u16,
    /// Port for OTLP/HTTP.
    pub http: u16,
    query: u16,
}

impl Backend {
    /// Starts both. Returns none when the run skips real receivers (see [`peer`]).
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// As [`Self::start`], but the Collector runs with a shipped configuration, which takes the
    /// addresses of receivers and databases from the environment. Logs and traces go to the file
    /// and not to a database. Metrics also go through vmagent to Prometheus, by remote write.
    #[must_use]
    pub fn start_as_shipped(configuration: &Path) -> Option<Self> {
        Self::start_with(Some(configuration))
    }

    fn start_with(shipped: Option<&Path>) -> Option<Self> {
        let (collector, database) = (peer("OTELCOL")?, peer("VICTORIA_METRICS")?);
        let dir = tempfile::tempdir().expect("a folder");
        let (grpc, http, query) = (free_port(), free_port(), free_port());
        let (prometheus, vmagent) = (free_port(), free_port());

        let mut command = Command::new(database);
        command.arg(format!("-storageDataPath={}", dir.path().join("metrics").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{query}")).arg("-opentelemetry.usePrometheusNaming");
        // By default, queries ignore the last 30 s.
        command.arg("-search.latencyOffset=0s");
        let database = Peer(quiet(&mut command).spawn().expect("VictoriaMetrics starts"));

        let config = dir.path().join("collector.yaml");
        let own = if shipped.is_some() { beside(vmagent) } else { configuration(grpc, http, query) };
        fs::write(&config, own).expect("room on the disk");
        let output = File::create(dir.path().join("collector.log")).expect("a file");
        let mut command = Command::new(collector);
        // Later files win.
        for file in shipped.into_iter().chain([config.as_path()]) {
            command.arg("--config").arg(file);
        }
        command.env("OTLP_GRPC", format!("127.0.0.1:{grpc}")).env("OTLP_HTTP", format!("127.0.0.1:{http}"));
        command.env("METRICS_URL", format!("http://127.0.0.1:{query}/opentelemetry/v1/metrics"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let collector = Peer(command.spawn().expect("the collector starts"));

        let mut ports =
            vec![("VictoriaMetrics", query), ("the collector's gRPC", grpc), ("the collector's HTTP", http)];
        let mut programs = vec![collector, database];
        if shipped.is_some() {
            programs.extend(remote_write(dir.path(), prometheus, vmagent)?);
            ports.extend([("Prometheus", prometheus), ("vmagent", vmagent)]);
        }
        for (what, port) in ports {
            wait_for(what, || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        Some(Self { _programs: programs, dir, prometheus, grpc, http, query })
    }

    /// Returns what the debug exporter has written.
    #[must_use]
    pub fn written(&self) -> String {
        fs::read_to_string(self.dir.path().join("collector.log")).expect("the collector's output")
    }

    /// Returns the labels and the value of every series that a `PromQL` query finds.
    #[must_use]
    pub fn query(&self, promql: &str) -> Vec<(Value, f64)> {
        // New data is searchable only after a flush.
        self.flush();
        let answer = self.ask(Database::VictoriaMetrics, "/api/v1/query", &[("query", promql)]);
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |one: &Value| one["value"][1].as_str().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN);
        series.iter().map(|one| (one["metric"].clone(), value(one))).collect()
    }

    /// Sends a request to a database and returns its JSON response. Encodes the parameters. In
    /// VictoriaMetrics, new data is searchable only after [`Self::flush`].
    #[must_use]
    pub fn ask(&self, database: Database, path: &str, parameters: &[(&str, &str)]) -> Value {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let port = match database {
            Database::VictoriaMetrics => self.query,
            Database::Prometheus => self.prometheus,
        };
        let answer = get(port, &format!("{path}?{}", parameters.join("&")));
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no JSON but {answer}"))
    }

    /// Makes new data in VictoriaMetrics searchable.
    pub fn flush(&self) {
        let _ = get(self.query, "/internal/force_flush");
    }
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the database");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Starts Prometheus, and vmagent, which receives OTLP and passes it on by remote write.
fn remote_write(folder: &Path, prometheus: u16, vmagent: u16) -> Option<[Peer; 2]> {
    let (database, agent) = (peer("PROMETHEUS")?, peer("VMAGENT")?);
    let config = folder.join("prometheus.yaml");
    // The desks of a simulated fleet send one after the other.
    fs::write(&config, "storage: {tsdb: {out_of_order_time_window: 96h}}\n").expect("room on the disk");
    let mut command = Command::new(database);
    command.arg(format!("--config.file={}", config.display())).arg("--web.enable-remote-write-receiver");
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{prometheus}"));
    let database = Peer(quiet(&mut command).spawn().expect("Prometheus starts"));
    let mut command = Command::new(agent);
    command.arg(format!("-httpListenAddr=127.0.0.1:{vmagent}")).arg("-opentelemetry.usePrometheusNaming");
    command.arg(format!("-remoteWrite.url=http://127.0.0.1:{prometheus}/api/v1/write"));
    command.arg("-remoteWrite.forcePromProto").arg("-remoteWrite.flushInterval=200ms");
    command.arg(format!("-remoteWrite.tmpDataPath={}", folder.join("vmagent").display()));
    let agent = Peer(quiet(&mut command).spawn().expect("vmagent starts"));
    Some([database, agent])
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}

/// Returns what overrides a shipped configuration.
fn beside(vmagent: u16) -> String {
    format!(
        "exporters:
  debug: {{verbosity: detailed}}
  otlp_http/vmagent:
    metrics_endpoint: http://127.0.0.1:{vmagent}/opentelemetry/v1/metrics
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{exporters: [debug]}}
    traces: {{exporters: [debug]}}
    metrics: {{exporters: [otlp_http/metrics, otlp_http/vmagent]}}
"
    )
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
