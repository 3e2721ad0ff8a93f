//! `cargo xtask stack`: the Collector with the shipped configuration, VictoriaMetrics, vmagent and Prometheus with the
//! shipped rules on this machine, without containers; simulated desks fill them. What cannot be had as a package (Grafana,
//! Loki, Tempo) is in dashboards/compose.yaml; here the Collector writes logs and spans to a file.

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

/// How often it is looked whether the Collector answers, which takes it a second.
const LOOK: Duration = Duration::from_millis(100);
/// How many times.
const LOOKS: u32 = 300;

/// With what it begins.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Fill it with so many simulated desks on yesterday.
    #[arg(long, default_value_t = 10)]
    desks: u32,
}

/// A program that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, if these fail.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts everything; ends with Ctrl-C.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let programs = machine::receivers()?;
    let program = |name: &str| {
        let found = programs.iter().find(|(variable, _)| *variable == name).map(|(_, program)| program.as_str());
        found.with_context(|| format!("{name} is not there"))
    };
    let folder = root().join("target/stack");
    fs::create_dir_all(&folder)?;
    let dashboards = root().join("dashboards");
    let rules = dashboards.join("rules");
    let prometheus = folder.join("prometheus.yaml");
    // Desks of a simulation send one after the other.
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
        // Nobody waits any more, if this fails.
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
    ensure!(reached, "the collector does not answer; why is in {}", folder.display());
    let values = vec![format!("--desks={}", arguments.desks), "--collector=http://127.0.0.1:4317".to_owned()];
    fleet::run(&step::Arguments { values })?;
    println!("Ctrl-C ends it; what it has stays in {}.", folder.display());
    ended.recv()?;
    drop(running);
    Ok(())
}

/// What the Collector does with logs and spans, for want of their databases.
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

/// Starts a program in the folder; what it says goes to a file there.
fn start(folder: &Path, program: &str, arguments: &[&str]) -> Result<Running> {
    let name = Path::new(program).file_name().context("a program")?.to_string_lossy().into_owned();
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Running(command.spawn().with_context(|| format!("{name} does not start"))?))
}
