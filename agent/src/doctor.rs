//! `insights-agent doctor`: checks everything that delivery depends on from outside. Each check has
//! one sentence: what is ok, or what to do. It works with and without a running agent, and changes
//! nothing.

use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpStream, lookup_host};

use crate::autostart;
use crate::config::{CollectorSettings, ConfigError, Endpoint, Loaded, ProxyChoice, Settings};
use crate::consent::{Consent, LogKind};
use crate::control::{AskError, Reply, Request, ask};
use crate::ioconnect::folders;
use crate::paths::{DataDir, write_atomically};
use crate::pipeline::exporter::{Clients, probe};
use crate::pipeline::queue::{self, QueueStats};
use crate::startup::{CommonArgs, StartupError};
use crate::status::{Health, Status};
use crate::units::bytes;

/// Maximum wait for a connection. The user waits for the result, and a slower route is unusable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum clock difference in seconds. A larger one makes times in dashboards hard to compare, and
/// signed requests fail.
const MAX_SKEW: i64 = 60;
/// Maximum age of queued data in milliseconds. With older data the queue is not being delivered.
const MAX_AGE_MS: i64 = 10 * 60 * 1000;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub topic: &'static str,
    /// Whether the check passed.
    #[serde(rename = "good")]
    pub ok: bool,
    /// The finding; if the check failed, also what to do.
    pub sentence: String,
}

/// Collects the results.
#[derive(Debug, Default)]
struct Report(Vec<Check>);

impl Report {
    fn add(&mut self, topic: &'static str, ok: bool, sentence: impl Into<String>) {
        self.0.push(Check { topic, ok, sentence: sentence.into() });
    }

    fn of<T>(&mut self, topic: &'static str, found: Result<T, String>, describe: impl FnOnce(T) -> String) {
        match found {
            Ok(found) => self.add(topic, true, describe(found)),
            Err(failure) => self.add(topic, false, failure),
        }
    }
}

/// Returns the results as a page of text.
#[must_use]
pub fn page(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.topic.len()).max().unwrap_or_default();
    let line = |check: &Check| {
        let mark = if check.ok { "ok  " } else { "FAIL" };
        // A setting's error has lines of its own.
        let sentence = check.sentence.replace('\n', &format!("\n{:indent$}", "", indent = width + 8));
        format!("{mark}  {:width$}  {sentence}\n", check.topic)
    };
    let summary = match checks.iter().filter(|check| !check.ok).count() {
        0 => "All checks passed.".to_owned(),
        1 => "1 check failed.".to_owned(),
        failed => format!("{failed} checks failed."),
    };
    format!("{}\n{summary}\n", checks.iter().map(line).collect::<String>())
}

/// Runs all checks. The only error is that this user has no home folder.
///
/// # Errors
/// See [`StartupError`].
pub async fn examine(options: &CommonArgs) -> Result<Vec<Check>, StartupError> {
    let mut report = Report::default();
    let data = options.data()?;
    let version = env!("CARGO_PKG_VERSION");
    let system = sysinfo::System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    report.add("version", true, format!("insights-agent {version} on {system}."));
    let loaded = options.settings(true);
    settings(&mut report, &loaded);
    let status = running(&mut report, &data).await;
    data_folder(&mut report, &data);
    queue(&mut report, &data, status.as_deref());
    if let Ok(loaded) = &loaded {
        collector(&mut report, &loaded.settings.collector).await;
        logs(&mut report, &loaded.settings, &data);
    }
    start(&mut report);
    Ok(report.0)
}

fn settings(report: &mut Report, loaded: &Result<Loaded, StartupError>) {
    match loaded {
        Ok(loaded) if loaded.problems.is_empty() => report.add("settings", true, "The settings are valid."),
        Ok(loaded) => {
            for problem in &loaded.problems {
                report.add("settings", false, problem.to_string());
            }
        }
        Err(StartupError::Settings(error)) => report.add("settings", false, ConfigError::to_string(error)),
        Err(error) => report.add("settings", false, error.to_string()),
    }
}

/// Returns the status of the running agent, if there is one.
async fn running(report: &mut Report, data: &DataDir) -> Option<Box<Status>> {
    match ask(data, &Request::Status).await {
        Ok(Reply::Status(status)) => {
            let (ours, theirs) = (env!("CARGO_PKG_VERSION"), &status.version);
            if ours == theirs {
                report.add("agent", status.health != Health::Attention, status.sentence.clone());
            } else {
                let sentence = "stop it, so that the new version starts.";
                report.add(
                    "agent",
                    false,
                    format!("The running agent is version {theirs}, but this program is {ours}: {sentence}"),
                );
            }
            Some(status)
        }
        Ok(other) => {
            report.add("agent", false, format!("Unexpected answer of the agent: {other:?}."));
            None
        }
        Err(AskError::NotRunning(_)) => {
            report.add("agent", false, "No agent is running. Start it from the menu, or sign in again.");
            None
        }
        Err(error) => {
            report.add("agent", false, format!("The agent does not answer: {error}. Stop it, and start it again."));
            None
        }
    }
}

fn data_folder(report: &mut Report, data: &DataDir) {
    let folder = data.path().display();
    if !data.path().exists() {
        return report.add("data folder", true, format!("{folder} does not exist yet, because no agent has run."));
    }
    let trial = data.path().join(format!("doctor.{}", std::process::id()));
    let written = write_atomically(&trial, b"").and_then(|()| std::fs::remove_file(&trial));
    let free = fs4::statvfs(data.path()).map(|stats| stats.available_space()).unwrap_or_default();
    report.of(
        "data folder",
        written.map_err(|error| {
            format!("{folder} is not writable: {error}. Grant this user write access, or free disk space.")
        }),
        |()| format!("{folder} is writable, with {} of free disk space.", bytes(free)),
    );
}

fn queue(report: &mut Report, data: &DataDir, status: Option<&Status>) {
    let held = match status {
        Some(status) => Ok(status.queue.clone()),
        None => queue::inspect(&data.queue()),
    };
    let judged = held.map_err(|error| format!("Failed to read the queue: {error}.")).and_then(|stats| {
        let age = stats.oldest_unix_ms().map_or(0, |oldest| jiff::Timestamp::now().as_millisecond() - oldest);
        let waiting = describe_queue(&stats, age);
        match stats.problems.first() {
            Some(problem) => Err(problem.clone()),
            None if age > MAX_AGE_MS => Err(format!("{waiting} It is not being delivered: see the collector checks.")),
            None => Ok(waiting),
        }
    });
    report.of("queue", judged, |waiting| waiting);
}

fn describe_queue(stats: &QueueStats, age: i64) -> String {
    match stats.batches() {
        0 => "The queue is empty.".to_owned(),
        1 => format!("1 request is queued ({}), for {} s.", bytes(stats.bytes()), age / 1000),
        batches => {
            format!("{batches} requests are queued ({}), the oldest for {} s.", bytes(stats.bytes()), age / 1000)
        }
    }
}

async fn collector(report: &mut Report, settings: &CollectorSettings) {
    let proxied = !matches!(settings.proxy.address, ProxyChoice::None);
    match &settings.proxy.address {
        ProxyChoice::None => report.add("proxy", true, "No proxy is used."),
        ProxyChoice::Address(address) => {
            let found =
                route(address.host_str().unwrap_or_default(), address.port_or_known_default().unwrap_or(80)).await;
            report.of("proxy", found, |way| format!("Proxy {address}: {way}"));
        }
        ProxyChoice::System => {
            let variables = [
                "HTTPS_PROXY",
                "HTTP_PROXY",
                "ALL_PROXY",
                "NO_PROXY",
                "https_proxy",
                "http_proxy",
                "all_proxy",
                "no_proxy",
            ];
            let set: Vec<&str> = variables.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
            let variables = if set.is_empty() { String::new() } else { format!(" Set: {}.", set.join(", ")) };
            report.add("proxy", true, format!("The system proxy is used, if there is one.{variables}"));
        }
    }
    for endpoint in endpoints(settings) {
        let url = endpoint.url();
        let found = route(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443)).await;
        match found {
            // Behind a proxy this machine needs neither the name nor a route.
            Err(_) if proxied => {}
            found => report.of("route", found, |way| format!("{endpoint}: {way}")),
        }
    }
    let clients = match Clients::new(settings) {
        Ok(clients) => clients,
        Err(error) => return report.add("certificates", false, format!("{error}.")),
    };
    if settings.certificate.is_some() || settings.client_certificate.is_some() {
        report.add("certificates", true, "The certificate files are valid.");
    }
    let probes = probe(&clients).await;
    for of in &probes {
        // A problem of all three signals is reported once.
        if !probes.iter().take_while(|before| before.signal != of.signal).any(|before| before.sentence == of.sentence) {
            report.add("collector", of.ok, format!("{} ({} ms)", of.sentence, of.milliseconds));
        }
    }
    if let Some(skew) = probes.iter().find_map(|probe| probe.clock_skew_seconds) {
        let (seconds, way) = (skew.abs(), if skew < 0 { "behind" } else { "ahead of" });
        let fine = format!("The clocks of the collector and this machine differ by {seconds} s.");
        let skewed = format!("The collector's clock is {seconds} s {way} this machine's. Correct the wrong one.");
        report.add("clock", seconds <= MAX_SKEW, if seconds <= MAX_SKEW { fine } else { skewed });
    }
}

/// Returns all configured collector addresses, each once.
fn endpoints(settings: &CollectorSettings) -> Vec<&Endpoint> {
    let own = [&settings.metrics, &settings.traces, &settings.logs, &settings.fallback];
    let mut all = vec![&settings.endpoint];
    for endpoint in own.into_iter().filter_map(|of| of.endpoint.as_ref()) {
        if !all.contains(&endpoint) {
            all.push(endpoint);
        }
    }
    all
}

/// Resolves a host name, and connects to one of its addresses.
async fn route(host: &str, port: u16) -> Result<String, String> {
    // In a URL an IPv6 address is in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::time::timeout(CONNECT_TIMEOUT, lookup_host((host, port))).await;
    let addresses: Vec<_> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => {
            return Err(format!("The name {host} cannot be resolved. Check the address, the network and the VPN."));
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(stream)) => {
            let address = stream.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default();
            Ok(format!("connected to {address}."))
        }
        Ok(Err(error)) => Err(format!("No connection to {host}:{port}: {error}. Check the address and the firewall.")),
        Err(_) => Err(format!(
            "No connection to {host}:{port} within {} s. Check the network, the VPN and the firewall.",
            CONNECT_TIMEOUT.as_secs()
        )),
    }
}

fn logs(report: &mut Report, settings: &Settings, data: &DataDir) {
    let user_data = folders::user_data(&settings.connect);
    let found = folders::log_folders(&user_data);
    if found.is_empty() {
        let looked: Vec<String> = user_data.iter().map(|path| path.display().to_string()).collect();
        let sentence = format!(
            "No io.Connect log folders found in {}. If io.Connect writes its logs elsewhere, set `connect.user_data`.",
            looked.join(", ")
        );
        return report.add("logs", false, sentence);
    }
    for folder in found {
        let path = folder.path.display().to_string();
        let files = folders::log_files(&folder.path);
        let files = files.and_then(|files| {
            files.first().map_or(Ok(files.len()), |file| std::fs::File::open(file).map(|_| files.len()))
        });
        report.of(
            "logs",
            files.map_err(|error| format!("{path} is not readable: {error}. Grant this user read access.")),
            |files| format!("{path} is readable, with {files} log {}.", if files == 1 { "file" } else { "files" }),
        );
    }
    let consent = Consent::load(&data.consent());
    let shared: Vec<String> =
        LogKind::ALL.into_iter().filter(|kind| consent.shares(*kind)).map(|kind| kind.name().to_owned()).collect();
    let sentence = match shared.as_slice() {
        [] => "No logs are shared, so no log files are read.".to_owned(),
        shared => format!("Logs of {} are shared.", shared.join(" and ")),
    };
    report.add("sharing", true, sentence);
}

fn start(report: &mut Report) {
    let topic = "autostart";
    match autostart::is_on() {
        _ if autostart::is_on_for_all() => {
            report.add(topic, true, "The tray program starts for all users of this machine.");
        }
        Ok(true) => report.add(topic, true, "The tray program starts when this user signs in."),
        Ok(false) => {
            let sentence = "The tray program does not start when this user signs in. Turn it on in its window, or set \
                            `policy.autostart`.";
            report.add(topic, false, sentence);
        }
        Err(error) => {
            report.add(topic, false, format!("Failed to read whether the tray program starts at sign-in: {error}."));
        }
    }
}
