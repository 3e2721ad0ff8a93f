//! The status of the agent: a snapshot of what each part publishes, and one sentence that sums it
//! up.
//!
//! Health is judged by what arrives at the collector: by acknowledgements, the age of queued data,
//! drops and rejections, never by whether the process is alive.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::PolicySettings;
use crate::consent::{Consent, LogKind};
use crate::otlp::Signal;
use crate::pipeline::exporter::{Delivery, LaneState, PowerSaving};
use crate::pipeline::queue::QueueStats;
use crate::sources::focus::FocusFigures;
use crate::sources::host::HostFigures;
use crate::sources::logs::LogStatus;
use crate::sources::processes::ProcessFigures;
use crate::sources::receiver::ReceiverStatus;
use crate::units::bytes;

/// Maximum age of queued data without any acknowledgement. Beyond it, delivery is reported as
/// stalled, whatever state the lanes report. Longer than a request timeout plus one backoff.
const STANDSTILL_MS: i64 = 120_000;

/// A snapshot of the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Process id of the agent.
    pub process_id: u32,
    /// Start time of the agent.
    pub started_unix_ms: i64,
    /// Time of this snapshot.
    pub taken_unix_ms: i64,
    /// Data folder.
    pub data_dir: String,
    /// Overall health.
    pub health: Health,
    /// The health as a sentence.
    pub sentence: String,
    /// The collector, and the delivery of each signal.
    pub collector: CollectorStatus,
    /// Queued batches, and the counters of the queue.
    pub queue: QueueStats,
    /// Whether the queue file could be read.
    #[serde(default)]
    pub queue_is_known: bool,
    /// Why the agent exports less often to save power or network traffic; `None` if it does not.
    #[serde(default)]
    pub saving: Option<PowerSaving>,
    /// Export interval while saving power, in milliseconds.
    #[serde(default)]
    pub saving_interval_ms: i64,
    /// Log sharing and reading.
    pub logs: LogsStatus,
    /// Load of this machine.
    pub host: HostFigures,
    /// The io.Connect processes.
    pub processes: ProcessFigures,
    /// The user's session.
    #[serde(default)]
    pub focus: FocusFigures,
    /// The OTLP receiver; `None` if it is disabled.
    #[serde(default)]
    pub receiver: Option<ReceiverStatus>,
    /// End of the pause; `None` if the agent is not paused.
    #[serde(default)]
    pub paused_until_unix_ms: Option<i64>,
    /// The consent record: who decided on log sharing, and when.
    #[serde(default)]
    pub consent: Consent,
    /// Settings that the organisation's policy fixes.
    #[serde(default)]
    pub policy: PolicySettings,
    /// Problems with the settings or with files in the data folder, as text.
    pub problems: Vec<String>,
}

/// The collector, and the delivery of each signal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CollectorStatus {
    /// Address of the collector.
    pub endpoint: String,
    /// OTLP transport and encoding.
    pub protocol: String,
    /// Delivery of metrics.
    pub metrics: Delivery,
    /// Delivery of traces.
    pub traces: Delivery,
    /// Delivery of logs.
    pub logs: Delivery,
}

impl CollectorStatus {
    /// Returns the delivery of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &Delivery {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    /// Returns the time of the last acknowledgement of any signal.
    #[must_use]
    pub fn acknowledged_unix_ms(&self) -> Option<i64> {
        Signal::ALL.iter().filter_map(|signal| self.of(*signal).acknowledged_unix_ms).max()
    }
}

/// Log sharing and reading.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogsStatus {
    /// Kinds of logs that are shared.
    pub shared: Vec<LogKind>,
    /// State of the log reader.
    pub reading: LogStatus,
}

/// Health of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing has been acknowledged yet, and nothing is wrong.
    Starting,
    /// Data arrives at the collector.
    Delivering,
    /// The collector is unreachable or does not accept data at the moment. Data stays in the queue.
    Buffering,
    /// Something needs to be fixed, or data was lost.
    Attention,
    /// The user has paused the agent.
    Paused,
}

/// Returns the health of a snapshot, and the sentence for it that window, tray and command line
/// show.
///
/// The first rule that applies wins: the user's choice, then problems that need a fix, then
/// problems that end by themselves.
#[must_use]
pub fn judge(status: &Status) -> (Health, String) {
    let now = status.taken_unix_ms;
    let lanes = || Signal::ALL.into_iter().map(|signal| (signal, status.collector.of(signal)));
    let problem_of = |delivery: &Delivery| delivery.problem.as_ref().map(|p| p.sentence.clone()).unwrap_or_default();

    if let Some(until) = status.paused_until_unix_ms.and_then(|until| Timestamp::from_millisecond(until).ok()) {
        let until = until.to_zoned_datetime(TimeZone::system());
        // A pause until tomorrow would otherwise read "until 00:00".
        let today = Timestamp::from_millisecond(now).ok().map(|now| now.to_zoned_datetime(TimeZone::system()).date());
        let form = if today == Some(until.date()) { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        return (Health::Paused, format!("Paused until {}. Nothing is measured or sent.", until.strftime(form)));
    }
    if let Some((_, delivery)) = lanes().find(|(_, delivery)| delivery.state == LaneState::Held) {
        return (Health::Attention, problem_of(delivery));
    }
    if let Some(problem) = status.queue.problems.first() {
        return (Health::Attention, problem.clone());
    }
    if let Some(problem) = status.problems.first() {
        return (Health::Attention, wrong_setting(problem));
    }
    let waiting = || format!("{} waiting to be sent.", count(status.queue.items(), "item"));
    if let Some((_, delivery)) = lanes().find(|(_, delivery)| delivery.state == LaneState::Retrying) {
        return (Health::Buffering, format!("{} {}", problem_of(delivery), waiting()));
    }
    if let Some((_, delivery)) = lanes().find(|(_, delivery)| delivery.problem.is_some()) {
        return (Health::Attention, problem_of(delivery));
    }
    let acknowledged = status.collector.acknowledged_unix_ms();
    let last_sign = acknowledged.unwrap_or(status.started_unix_ms);
    let oldest = status.queue.oldest_unix_ms().unwrap_or(now);
    let limit = STANDSTILL_MS + status.saving.map_or(0, |_| status.saving_interval_ms);
    if now - oldest.max(last_sign) > limit {
        return (Health::Buffering, format!("No delivery confirmed for {}. {}", elapsed(now - last_sign), waiting()));
    }
    match acknowledged {
        None => (Health::Starting, "Starting. Nothing delivered yet.".to_owned()),
        Some(at) if now - at < 1000 => (Health::Delivering, "Connected. Last delivery just now.".to_owned()),
        Some(at) => (Health::Delivering, format!("Connected. Last delivery {} ago.", elapsed(now - at))),
    }
}

/// Returns a sentence about an invalid setting: what is wrong, and where it is set.
fn wrong_setting(problem: &str) -> String {
    let mut lines = problem.lines();
    let what = lines.next().unwrap_or_default();
    let place = lines.next().and_then(|line| line.trim_start().strip_prefix("--> ")).map(|place| format!(" ({place})"));
    format!("A setting is wrong: {what}{}.", place.unwrap_or_default())
}

/// Returns the snapshot as the page of text that `insights-agent status` prints.
#[must_use]
pub fn page(status: &Status) -> String {
    let mut out = String::new();
    let now = status.taken_unix_ms;
    let mut line = |name: &str, text: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<12}{text}");
    };
    line("Insights", status.sentence.clone());
    line("Collector", format!("{} ({})", status.collector.endpoint, status.collector.protocol));
    for signal in Signal::ALL {
        let (delivery, queued) = (status.collector.of(signal), status.queue.of(signal));
        let last = delivery.acknowledged_unix_ms.map_or_else(
            || "nothing delivered yet".to_owned(),
            |at| format!("{} delivered, last {} ago", count(delivery.acknowledged_items, "item"), elapsed(now - at)),
        );
        let rejected = match delivery.rejected_items {
            0 => String::new(),
            rejected => format!(", {rejected} rejected by the collector"),
        };
        let waiting = if queued.batches == 0 {
            String::new()
        } else {
            let (items, batches) = (count(queued.items, "item"), count(queued.batches, "request"));
            format!(", {items} waiting in {batches}")
        };
        line(&format!("  {signal}"), format!("{last}{rejected}{waiting}"));
        if let Some(problem) = &delivery.problem {
            let again = problem.again_unix_ms.map(|at| format!(" Next try in {}.", elapsed((at - now).max(0))));
            line("", format!("{}{}", problem.sentence, again.unwrap_or_default()));
        }
    }
    let queued_ago = |at| format!(", oldest queued {} ago", elapsed(now - at));
    let age = status.queue.oldest_unix_ms().map(queued_ago).unwrap_or_default();
    let queue = format!("{}, {}{age}", count(status.queue.batches(), "request"), bytes(status.queue.bytes()));
    if let Some(saving) = status.saving {
        let interval = elapsed(status.saving_interval_ms);
        line("Saving", format!("{}: queued data is sent every {interval}", saving.name()));
    }
    line("Queue", if status.queue.batches() == 0 { "empty".to_owned() } else { queue });
    let is_loss = |name: &str| name.starts_with("dropped.") || name.starts_with("set_aside");
    for (name, number) in status.queue.counters.iter().filter(|(name, _)| is_loss(name)) {
        line("", format!("{name}: {number}"));
    }
    for file in &status.queue.quarantined {
        let age = elapsed(now - file.at_unix_ms);
        line("", format!("{}, {age} ago: {}", file.reason.description(), file.path.display()));
    }
    line("Logs", log_sharing(&status.logs));
    if let Some(problem) = &status.logs.reading.problem {
        line("", problem.clone());
    }
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let cpu = status.host.cpu.map_or_else(|| "not measured yet".to_owned(), percent);
    let memory = status
        .host
        .memory
        .map_or_else(|| "unknown".to_owned(), |memory| format!("{} of {}", bytes(memory.used), bytes(memory.total)));
    line("Machine", format!("CPU {cpu}, memory {memory}"));
    let platform = if status.processes.platforms() == 0 {
        "not running".to_owned()
    } else {
        let (processes, memory) = status.processes.total();
        format!("running, {}, memory {}", count(processes, "process"), bytes(memory))
    };
    line("io.Connect", platform);
    line("Session", session(&status.focus));
    if let Some(of) = &status.receiver {
        line("Receiver", receiver(of));
        if let Some(origin) = &of.refused_origin {
            line("", format!("rejected web pages of {origin}; to accept them, add it to receiver.allowed_origins"));
        }
        if let Some(problem) = &of.problem {
            line("", problem.clone());
        }
    }
    for problem in status.queue.problems.iter().chain(&status.problems) {
        line("Problem", problem.replace('\n', "\n            "));
    }
    line(
        "Agent",
        format!(
            "{}, process {}, running for {}",
            status.version,
            status.process_id,
            elapsed(now - status.started_unix_ms)
        ),
    );
    line("Data", status.data_dir.clone());
    out
}

fn log_sharing(logs: &LogsStatus) -> String {
    if logs.shared.is_empty() {
        return "not shared; to share them: `insights-agent logs share on`".to_owned();
    }
    let shared: Vec<&str> = logs.shared.iter().map(|kind| kind.name()).collect();
    let reading = &logs.reading;
    let space = if reading.waiting_for_room { ", waiting for space in the queue" } else { "" };
    format!(
        "sharing {}: following {}, {} read, {} behind{space}",
        shared.join(" and "),
        count(reading.files as u64, "file"),
        count(reading.records, "record"),
        bytes(reading.behind_bytes)
    )
}

fn session(focus: &FocusFigures) -> String {
    if let Some(problem) = &focus.problem {
        return format!("unknown: {problem}");
    }
    let Some(state) = focus.state else { return "not measured yet".to_owned() };
    let app = focus.app.as_ref().map(|app| format!(", using {app}")).unwrap_or_default();
    format!("{}{app}, active for {} today", state.name(), elapsed(focus.active_milliseconds_today))
}

fn receiver(of: &ReceiverStatus) -> String {
    let Some(http) = &of.http else { return "not listening".to_owned() };
    let grpc = of.grpc.as_ref().map(|grpc| format!(", {grpc} (gRPC)")).unwrap_or_default();
    let taken: u64 = of.taken.values().sum();
    let refused = match of.refused.values().sum() {
        0 => String::new(),
        refused => format!(", {} rejected", count(refused, "request")),
    };
    let not_shared = match of.not_shared {
        0 => String::new(),
        records => format!(", {} dropped because application logs are not shared", count(records, "log record")),
    };
    let sampled_out = match of.sampled_out {
        0 => String::new(),
        spans => format!(", {} dropped by sampling", count(spans, "span")),
    };
    format!("{http} (HTTP){grpc}: {} accepted{not_shared}{sampled_out}{refused}", count(taken, "item"))
}

fn count(number: u64, thing: &str) -> String {
    match (number, thing) {
        (1, _) => format!("1 {thing}"),
        (_, "process") => format!("{number} processes"),
        _ => format!("{number} {thing}s"),
    }
}

/// Returns a time span in its largest unit of which there are at least two.
fn elapsed(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0).unsigned_abs() / 1000;
    match seconds {
        0..120 => count(seconds, "second"),
        120..7200 => count(seconds / 60, "minute"),
        7200..172_800 => count(seconds / 3600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
