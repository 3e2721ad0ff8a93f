//! `cargo xtask stack`: starts the Collector, VictoriaMetrics, vmagent and Prometheus with the
//! shipped configuration and rules on this machine, without containers, and fills them with
//! simulated desks. Grafana, Loki and Tempo are not available as Debian packages:
//! dashboards/compose.yaml starts them. Here the Collector writes logs and spans to a file.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::step::{self, root};
use crate::{fleet, machine};

/// How often the Collector is checked for an answer. It takes about a second to start.
const LOOK: Duration = Duration::from_millis(100);
/// Number of checks.
const LOOKS: u32 = 300;

/// What to start with.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Number of simulated desks that fill it with the data of yesterday.
    #[arg(long, default_value_t = 10)]
    desks: u32,
}

/// A child process that is stopped together with this program.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // These fail only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts everything. Ends on Ctrl-C.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let programs = machine::receivers()?;
    let program = |name: &str| {
        let found = programs.iter().find(|(variable, _)| *variable == name).map(|(_, program)| program.as_str());
        found.with_context(|| format!("{name} is missing"))
    };
    let folder = root().join("target/stack");
    fs::create_dir_all(&folder)?;
    let dashboards = root().join("dashboards");
    let rules = dashboards.join("rules");
    let prometheus = folder.join("prometheus.yaml");
    // Simulated desks send one after the other, so samples arrive out of order.
    let settings = format!(
        "rule_files: ['{}', '{}']\nstorage: {{tsdb: {{out_of_order_time_window: 96h}}}}\n",
        rules.join("recording.yaml").display(),
        rules.join("alerts.yaml").display()
    );
    fs::write(&prometheus, settings)?;
    let beside = folder.join("collector.yaml");
    fs::write(&beside, BESIDE)?;

    let collector = dashboards.join("collector/victoria.yaml");
    let running = [
        start(&folder, program("VICTORIA_METRICS")?, &["-storageDataPath=metrics", "-httpListenAddr=127.0.0.1:8428"])?,
        start(
            &folder,
            program("PROMETHEUS")?,
            &[
                &format!("--config.file={}", prometheus.display()),
                "--storage.tsdb.path=prometheus",
                "--web.listen-address=127.0.0.1:9090",
                "--web.enable-remote-write-receiver",
            ],
        )?,
        start(
            &folder,
            program("VMAGENT")?,
            &[
                "-httpListenAddr=127.0.0.1:8429",
                "-opentelemetry.usePrometheusNaming",
                "-remoteWrite.tmpDataPath=vmagent",
                "-remoteWrite.forcePromProto",
                "-remoteWrite.url=http://127.0.0.1:8428/api/v1/write",
                "-remoteWrite.url=http://127.0.0.1:9090/api/v1/write",
            ],
        )?,
        start(
            &folder,
            program("OTELCOL")?,
            &["--config", &collector.display().to_string(), "--config", &beside.display().to_string()],
        )?,
    ];
    let (end, ended) = channel();
    ctrlc::set_handler(move || {
        // Fails only if nothing waits for it any more.
        let _ = end.send(());
    })?;
    println!("OTLP for agents:   http://127.0.0.1:4317 (gRPC), http://127.0.0.1:4318 (HTTP)");
    println!("VictoriaMetrics:   http://127.0.0.1:8428/vmui");
    println!("Prometheus, rules: http://127.0.0.1:9090/alerts");
    println!("Logs and spans:    {}", folder.join("otelcol.log").display());
    let reached = (0..LOOKS).any(|_| {
        std::thread::sleep(LOOK);
        TcpStream::connect(("127.0.0.1", 4317)).is_ok()
    });
    ensure!(reached, "the collector does not answer; see its log in {}", folder.display());
    let values = vec![format!("--desks={}", arguments.desks), "--collector=http://127.0.0.1:4317".to_owned()];
    fleet::run(&step::Arguments { values })?;
    println!("Ctrl-C stops everything; the data stays in {}.", folder.display());
    ended.recv()?;
    drop(running);
    Ok(())
}

/// Settings by which the Collector writes logs and spans to its log, because their databases are
/// missing here.
const BESIDE: &str = "exporters:
  debug: {verbosity: detailed}
  otlp_http/metrics: {metrics_endpoint: 'http://127.0.0.1:8429/opentelemetry/v1/metrics'}
receivers:
  otlp: {protocols: {grpc: {endpoint: '127.0.0.1:4317'}, http: {endpoint: '127.0.0.1:4318'}}}
service:
  pipelines:
    logs: {exporters: [debug]}
    traces: {exporters: [debug]}
";

/// Starts a program in the folder, with its output in a file there.
fn start(folder: &Path, program: &str, arguments: &[&str]) -> Result<Running> {
    let name = Path::new(program).file_name().context("a program")?.to_string_lossy().into_owned();
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Running(command.spawn().with_context(|| format!("failed to start {name}"))?))
}
