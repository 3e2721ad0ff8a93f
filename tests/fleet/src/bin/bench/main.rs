//! Measures the performance budgets on the built program, and other programs in the same run.
//!
//! `cargo xtask bench` builds and starts it. Absolute figures are valid for one machine at one
//! time; ratios to the other programs are comparable between machines.

mod load;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use test_support::desktop::{Desktop, TrayIcon};
use test_support::test_env::{TestEnv, tray_program};
use test_support::user::User;
use test_support::{free_port, wait_for};

/// Number of lines whose latency to the collector is measured one by one.
const TIMED_LINES: usize = 15;
/// Idle time after which another program is considered to have sent everything.
const SILENCE: Duration = Duration::from_secs(10);
/// Maximum wait for one measurement.
const LIMIT: Duration = Duration::from_mins(3);

/// Measures the agent against its budgets, with other programs beside it.
#[derive(Parser)]
struct Arguments {
    /// Log lines in the backlog.
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    /// Duration of the idle measurement, in seconds.
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
    /// Measure only the receiver.
    #[arg(long)]
    receiver_only: bool,
}

fn main() {
    let Arguments { lines, idle_seconds, receiver_only } = Arguments::parse();
    let idle = Duration::from_secs(idle_seconds);
    if receiver_only {
        return load::all(idle);
    }

    let text = sample(lines);
    println!("{lines} lines, {:.0} MB, 120 bytes a line, one record in 25 with a second line", text.len() as f64 / 1e6);
    println!();
    println!("{:<62}{:>12}{:>14}", "", "measured", "budget");
    backlog(lines, &text);
    backlog_without_redaction(lines, &text);
    latency();
    start();
    load::all(idle);
    idle_agent(idle);
    tray_and_window();
    println!();
    println!("Peers in this run");
    rsyslog(lines, &text);
    node_exporter(idle);
}

fn row(what: &str, measured: &str, budget: &str) {
    println!("{what:<62}{measured:>12}{budget:>14}");
}

/// Log lines as io.Connect's logger writes them.
fn sample(lines: u64) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let categories = ["default", "clientlist.main", "interop.methods", "layouts", "gateway.client", "windows"];
    let mut text = String::new();
    let mut number = 0;
    let mut millisecond = 0;
    while number < lines {
        millisecond += random.u64(0..40);
        let (seconds, rest) = (millisecond / 1000, millisecond % 1000);
        let clock = format!("{:02}:{:02}:{:02}.{rest:03}", 6 + seconds / 3600 % 12, seconds / 60 % 60, seconds % 60);
        let level = ["DEBUG", "INFO", "INFO", "INFO", "WARN", "ERROR"][random.usize(..6)];
        let category = categories[random.usize(..categories.len())];
        let mut line = format!(
            "[2026-11-23T{clock}] [{level}] [9816_{}] {category} - invoked T42.Orders.Find for client {} in {} ms",
            random.u32(..40),
            random.u32(..5000),
            random.u32(..900)
        );
        while line.len() < 119 {
            line.push_str(["; ok", "; cached", "; retried", " "][random.usize(..4)]);
        }
        line.truncate(119);
        text.push_str(&line);
        text.push('\n');
        number += 1;
        if number % 25 == 0 && number < lines {
            writeln!(text, "    at Orders.find (orders.js:{}:17){:80}", random.u32(..900), "").unwrap();
            number += 1;
        }
    }
    text
}

/// A sink for OTLP/HTTP that counts bytes, log records and spans.
#[derive(Clone, Default)]
struct Sink {
    bytes: Arc<AtomicU64>,
    records: Arc<AtomicU64>,
    spans: Arc<AtomicU64>,
}

impl Sink {
    /// Listens on a port of loopback; returns the port.
    fn listen(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sink, mut stream) = (sink.clone(), stream.unwrap());
                std::thread::spawn(move || while sink.serve(&mut stream).is_some() {});
            }
        });
        port
    }

    fn serve(&self, stream: &mut TcpStream) -> Option<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).ok()?;
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        // Responds first, so that the agent does not wait for the counting.
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .ok()?;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
        if head.starts_with("POST /v1/logs ") {
            let request = ExportLogsServiceRequest::decode(plain.as_slice()).unwrap();
            self.bytes.fetch_add(length as u64, Ordering::Relaxed);
            let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
            let records = scopes.flat_map(|scope| &scope.log_records);
            // The agent's own events have names.
            let records = records.filter(|record| record.event_name.is_empty()).count();
            self.records.fetch_add(records as u64, Ordering::Relaxed);
        }
        if head.starts_with("POST /v1/traces ") {
            let request = ExportTraceServiceRequest::decode(plain.as_slice()).unwrap();
            let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
            self.spans.fetch_add(scopes.map(|scope| scope.spans.len() as u64).sum(), Ordering::Relaxed);
        }
        Some(())
    }

    fn wait_for(&self, records: u64) {
        until(&self.records, records);
    }
}

/// Waits until a counter reaches a value.
fn until(counter: &AtomicU64, wanted: u64) {
    let until = Instant::now() + LIMIT;
    while counter.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < until, "{} of {wanted}", counter.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the number of records in a number of lines: every 25th line has a continuation line.
fn records(lines: u64) -> u64 {
    lines - (lines - 1) / 25
}

/// Measures a whole log file, from the disk to the collector's acknowledgement.
fn backlog(lines: u64, text: &str) {
    let (used, wall, wire) = drain(lines, text, &[]);
    row(
        "log lines per CPU second, file to acknowledgement",
        &format!("{:.0} k", lines as f64 / used.cpu / 1e3),
        "300 k",
    );
    row("log lines per second of the clock", &format!("{:.0} k", lines as f64 / wall.as_secs_f64() / 1e3), "");
    row("peak memory while the backlog drains (RSS)", &format!("{:.1} MB", used.peak), "60 MB");
    row("bytes on the wire against raw log bytes (gzip)", &format!("{:.1} %", wire * 100.0), "15 %");
}

/// Measures the cost of redaction.
fn backlog_without_redaction(lines: u64, text: &str) {
    let rules = ["credentials", "email", "payment_cards", "ibans", "phone_numbers", "user"];
    let off: Vec<String> = rules.iter().map(|rule| format!("logs.redaction.{rule}=false")).collect();
    let (used, _, _) = drain(lines, text, &off);
    row("the same without redaction", &format!("{:.0} k", lines as f64 / used.cpu / 1e3), "");
}

/// Returns the resources used, the duration, and the bytes on the wire relative to the file.
fn drain(lines: u64, text: &str, settings: &[String]) -> (Used, Duration, f64) {
    let sink = Sink::default();
    let mut env = plain_env(&sink);
    env.set("logs.start_at=beginning");
    for setting in settings {
        env.set(setting);
    }
    fs::write(env.log("application.log"), text).unwrap();
    let _ = env.ok(&["logs", "share", "on"]);
    let started = Instant::now();
    let agent = env.start();
    sink.wait_for(records(lines));
    let used = Used::by(agent.id());
    (used, started.elapsed(), sink.bytes.load(Ordering::Relaxed) as f64 / text.len() as f64)
}

/// Measures the latency of single lines, from append to arrival.
fn latency() {
    let sink = Sink::default();
    let env = plain_env(&sink);
    let _ = env.ok(&["logs", "share", "on"]);
    let _agent = env.start();
    let _ = env.status();
    let mut times: Vec<Duration> = (0..TIMED_LINES)
        .map(|number| {
            let started = Instant::now();
            env.write("application.log", &format!("[2026-11-23T08:18:10.936] [INFO] default - line {number}\n"));
            sink.wait_for(number as u64 + 1);
            started.elapsed()
        })
        .collect();
    times.sort();
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    row("a line appended to its arrival, median", &seconds(times[TIMED_LINES / 2]), "2 s");
    row("a line appended to its arrival, slowest", &seconds(times[TIMED_LINES - 1]), "2 s");
}

/// Measures the time from the start of the process until it answers. Sources and queue run then.
fn start() {
    let env = plain_env(&Sink::default());
    let started = Instant::now();
    let _agent = env.start();
    let socket = env.data().join("control.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(started.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(1));
    }
    row("start to collecting", &format!("{:.0} ms", started.elapsed().as_secs_f64() * 1e3), "500 ms");
}

/// Measures the idle agent with default settings and all sources.
fn idle_agent(time: Duration) {
    let sink = Sink::default();
    let env = plain_env(&sink);
    fs::write(env.log("application.log"), "").unwrap();
    let _ = env.ok(&["logs", "share", "on"]);
    let desktop = Desktop::start();
    let mut command = env.command(&["run"]);
    desktop.apply(&mut command);
    let agent = env.start_as(command);
    env.wait_for_status("the desktop", |status| {
        status["focus"]["problem"].is_null() && !status["focus"]["state"].is_null()
    });
    let (before, woken) = (Used::by(agent.id()), wake_ups(agent.id(), "focus"));
    std::thread::sleep(time);
    let (after, woken) = (Used::by(agent.id()), wake_ups(agent.id(), "focus") - woken);
    let share = (after.cpu - before.cpu) / time.as_secs_f64();
    row("private memory, idle", &format!("{:.1} MB", after.private), "25 MB");
    row(&format!("CPU of a core, idle over {} s", time.as_secs()), &format!("{:.3} %", share * 100.0), "0.1 %");
    let polls = time.as_secs() / 5;
    row(&format!("focus: wake-ups while nothing changes, {polls} polls"), &format!("{woken}"), "poll only");
}

/// Measures the tray program while its window is opened and closed.
fn tray_and_window() {
    let sink = Sink::default();
    let (env, desktop) = (plain_env(&sink), Desktop::start());
    env.answer_first_question();
    let mut command = env.command_of(&tray_program(), &[]);
    desktop.apply(&mut command);
    let user = User::at(&desktop);
    let tray = env.start_as(command);
    let icon = TrayIcon::wait(&desktop);
    let _ = icon.line("Connected.");
    let before = proportional(tray.id());
    let started = Instant::now();
    icon.click("Open Insights Agent");
    wait_for("the window", || (user.windows_named("Insights Agent") == 1).then_some(()));
    let opened = started.elapsed();
    let page = Duration::from_secs(3);
    std::thread::sleep(page);
    let with_window: f64 = below(tray.id()).into_iter().map(proportional).sum();
    for child in below(tray.id()) {
        let _ = Command::new("kill").arg(child.to_string()).status();
    }
    wait_for("the end of the window", || (user.windows_named("Insights Agent") == 0).then_some(()));
    row("tray: memory (PSS) before the window was opened", &format!("{before:.1} MB"), "63 MB");
    row("tray: memory (PSS) after it was closed", &format!("{:.1} MB", proportional(tray.id())), "as before");
    row("window: memory (PSS) of its processes", &format!("{with_window:.1} MB"), "");
    row("window: on the screen after", &format!("{:.0} ms", opened.as_secs_f64() * 1e3), "");
}

/// Returns the proportional set size of a process, MB (proc(5), `smaps_rollup`, Pss).
fn proportional(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or_default() / 1e3
}

/// Returns all descendants of a process.
fn below(process: u32) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-P", &process.to_string()]).output().unwrap();
    let children: Vec<u32> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect();
    children.iter().copied().chain(children.iter().flat_map(|child| below(*child))).collect()
}

/// Returns the number of voluntary context switches (proc(5), status).
fn wake_ups(process: u32, thread: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let mut of_thread = statuses.filter(|status| status.starts_with(&format!("Name:\t{thread}\n")));
    let of_thread = of_thread.next().unwrap_or_default();
    let line = of_thread.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

/// Creates an environment with the agent's default settings.
fn plain_env(sink: &Sink) -> TestEnv {
    let mut env = TestEnv::new();
    for setting in [
        "host.export_interval=60s",
        "host.sample_interval=5s",
        "processes.sample_interval=30s",
        "logs.flush_interval=500ms",
        "collector.protocol=http/protobuf",
    ] {
        env.set(setting);
    }
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", sink.listen()));
    env
}

/// Resources that a process has used so far.
struct Used {
    /// CPU time, seconds.
    cpu: f64,
    /// Peak resident set size, MB.
    peak: f64,
    /// Private memory, MB.
    private: f64,
}

impl Used {
    fn by(process: u32) -> Self {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let kilobytes = |text: &str, name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
        };
        let (status, rollup) = (read("status"), read("smaps_rollup"));
        let private = kilobytes(&rollup, "Private_Dirty:") + kilobytes(&rollup, "Private_Clean:");
        // Nanoseconds that each thread has run (proc(5), schedstat): clock ticks are too coarse for
        // an idle program.
        let mut nanoseconds = 0.0;
        for task in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
        }
        Self { cpu: nanoseconds / 1e9, peak: kilobytes(&status, "VmHWM:") / 1e3, private: private / 1e3 }
    }
}

/// A program that is killed when this is dropped.
struct Peer(Child);

impl Peer {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures rsyslog, which reads the same file line by line and forwards it over plain TCP, without
/// parsing, OTLP, compression or a durable queue.
fn rsyslog(lines: u64, text: &str) {
    let Some(root) = std::env::var_os("RSYSLOG_ROOT") else {
        println!("rsyslog: skipped, RSYSLOG_ROOT is not set");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (root, folder) = (Path::new(&root), dir.path().display());
    fs::write(dir.path().join("application.log"), text).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = format!(
        "global(workDirectory=\"{folder}\")\nmodule(load=\"imfile\")\n\
         input(type=\"imfile\" File=\"{folder}/application.log\" Tag=\"connect\")\n\
         action(type=\"omfwd\" Target=\"127.0.0.1\" Port=\"{port}\" Protocol=\"tcp\")\n"
    );
    fs::write(dir.path().join("rsyslog.conf"), config).unwrap();
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(root.join("usr/sbin/rsyslogd"));
    command.args(["-n", "-i", "NONE", "-f"]).arg(dir.path().join("rsyslog.conf"));
    command.arg("-M").arg(libraries.join("rsyslog")).env("LD_LIBRARY_PATH", &libraries);
    let started = Instant::now();
    let peer = Peer::start(&mut command);
    listener.set_nonblocking(true).unwrap();
    let (mut stream, _) = wait_for("rsyslog to connect", || listener.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let mut seen = 0;
    let mut buffer = vec![0; 1 << 20];
    while seen < lines && started.elapsed() < LIMIT {
        let Ok(read @ 1..) = stream.read(&mut buffer) else { break };
        seen += buffer[..read].split(|byte| *byte == b'\n').count() as u64 - 1;
    }
    let used = Used::by(peer.0.id());
    let speed = format!("{:.0} k", seen as f64 / used.cpu / 1e3);
    row("rsyslog 8, file to plain TCP: log lines per CPU second", &speed, "");
    row("rsyslog 8: lines that arrived", &format!("{:.1} %", seen as f64 / lines as f64 * 100.0), "");
    row("rsyslog 8: peak memory (RSS)", &format!("{:.1} MB", used.peak), "");
}

/// Measures Prometheus' exporter of host metrics, scraped at the agent's sampling interval.
fn node_exporter(time: Duration) {
    let Some(program) = std::env::var_os("NODE_EXPORTER") else {
        println!("node_exporter: skipped, NODE_EXPORTER is not set");
        return;
    };
    let port = free_port();
    let peer = Peer::start(Command::new(program).arg(format!("--web.listen-address=127.0.0.1:{port}")));
    let scrape = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        stream.read_to_end(&mut Vec::new()).ok()
    };
    let started = Instant::now();
    while scrape().is_none() {
        assert!(started.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = Used::by(peer.0.id());
    let started = Instant::now();
    while started.elapsed() < time {
        std::thread::sleep(Duration::from_secs(5));
        scrape();
    }
    let after = Used::by(peer.0.id());
    let share = (after.cpu - before.cpu) / started.elapsed().as_secs_f64();
    row("node_exporter, a scrape every 5 s: private memory", &format!("{:.1} MB", after.private), "");
    row("node_exporter: CPU of a core", &format!("{:.3} %", share * 100.0), "");
}
