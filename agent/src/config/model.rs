//! The settings, typed: one structure per room of the program.
//!
//! Invariants: a value of these types is valid, because each checks itself while it is read; [`Settings::default`] is a
//! complete, working configuration. The doc comment of a field is its documentation: what it means, its unit.

mod collector;
mod receiver;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::consent::LogKind;

use super::values::{ByteSize, Expression, Pattern, Period, Ratio, Secret, StartAt, Template};

pub use collector::{CollectorSettings, DestinationSettings, OAuth2Settings, Protocol, ProxySettings, TlsVersion};
pub use receiver::{ReceiverSettings, RequestViewSettings, SamplingSettings};

/// Everything that the agent can be told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the data goes, and how.
    pub collector: CollectorSettings,
    /// What every signal says of its origin.
    pub resource: ResourceSettings,
    /// Metrics of this machine.
    pub host: HostSettings,
    /// Metrics of the io.Connect processes.
    pub processes: ProcessSettings,
    /// Metrics of the agent itself.
    pub internal_metrics: InternalMetricsSettings,
    /// Who used which app, for how long.
    pub focus: FocusSettings,
    /// Where io.Connect is found.
    pub connect: ConnectSettings,
    /// How io.Connect's log files are read, once their sharing is on.
    pub logs: LogSettings,
    /// What the platform and its apps send by themselves, to this machine's own addresses.
    pub receiver: ReceiverSettings,
    /// The durable queue between the sources and the collector.
    pub queue: QueueSettings,
    /// The agent's own log file.
    pub program_log: ProgramLogSettings,
    /// What the organisation decides instead of the user.
    pub policy: PolicySettings,
}

/// What every signal says of its origin.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// What is said of the user: `name`, `hash` (HMAC-SHA256 of the name) or `none`.
    pub user: UserPolicy,
    /// Key of the user's hash. The same key on every machine gives a user the same hash on every machine; without one
    /// each installation makes its own.
    pub user_hash_key: Option<Secret>,
    /// `deployment.environment.name` of every signal.
    pub environment: Option<Template>,
    /// The company's own attributes. `%VAR%` and `%VAR?default%` take environment variables.
    pub attributes: BTreeMap<String, Template>,
}

/// What is said of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserPolicy {
    /// `user.name`.
    Name,
    /// `user.hash`.
    #[default]
    Hash,
    /// Nothing.
    None,
}

/// Metrics of this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostSettings {
    /// Whether they are collected.
    pub enabled: bool,
    /// How often metrics are put into the queue, those of the processes too.
    pub export_interval: Period,
    /// How often CPU and memory are looked at. What lies above a threshold is counted in these steps.
    pub sample_interval: Period,
    /// Busy share of the CPU from which on time counts as being at the limit.
    pub cpu_threshold: Ratio,
    /// Used share of memory from which on time counts as being at the limit.
    pub memory_threshold: Ratio,
    /// Whether, of all agents on a machine that many people share, only one sends them.
    pub one_per_machine: bool,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            export_interval: Period::from_secs(60),
            sample_interval: Period::from_secs(5),
            cpu_threshold: Ratio::constant(0.9),
            memory_threshold: Ratio::constant(0.9),
            one_per_machine: true,
        }
    }
}

/// Metrics of the io.Connect processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessSettings {
    /// Whether they are collected.
    pub enabled: bool,
    /// How often the process list is read.
    pub sample_interval: Period,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { enabled: true, sample_interval: Period::from_secs(30) }
    }
}

/// Metrics of the agent itself: what it read, delivered and lost, what waits, what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InternalMetricsSettings {
    /// Whether they are sent.
    pub enabled: bool,
}

impl Default for InternalMetricsSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Who used which app, for how long. Names of io.Connect's apps are sent, of others only that they are others; titles of
/// windows never are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FocusSettings {
    /// Whether it is collected.
    pub enabled: bool,
    /// How long after the last input the user counts as idle, from that input on.
    pub idle_after: Period,
    /// How often the desktop is looked at, whether or not the system told of a change.
    pub poll_interval: Period,
    /// Which app a window is. The first rule that takes a window decides.
    pub apps: Vec<AppRule>,
    /// Folders with app definitions (`*.json`), whose titles and programs name apps that no rule takes. `%VAR%` takes
    /// environment variables.
    pub app_definitions: Vec<Template>,
}

impl Default for FocusSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            idle_after: Period::from_secs(180),
            poll_interval: Period::from_secs(5),
            apps: Vec::new(),
            app_definitions: Vec::new(),
        }
    }
}

/// Which app a window is. What is set has to be so for a window to be taken by the rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRule {
    /// Name of the app, as it is sent.
    pub app: String,
    /// A regular expression that is found in its title.
    #[serde(default)]
    pub title: Option<Expression>,
    /// Its class, in which `*` stands for any characters.
    #[serde(default)]
    pub class: Option<String>,
    /// File name of its program, without `.exe`, in which `*` stands for any characters. With it the rule takes any
    /// window, without it only those of io.Connect and of what it started.
    #[serde(default)]
    pub process: Option<String>,
}

/// Where io.Connect is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectSettings {
    /// Folders that hold one folder for each environment and region (`DEMO-INTEROP.IO`). Empty: the places where
    /// io.Connect and Glue42 put them. `%VAR%` takes environment variables.
    pub user_data: Vec<Template>,
    /// File names of the platform's program, without `.exe`, in any case. A rebranded platform has its own.
    pub process_names: Vec<String>,
    /// Whether what io.Connect's `system.json` says of io.Insights (`insights`, else `otel`) counts for the agent too, below
    /// everything that the agent itself is told: attributes of the resource, what is hidden in logs or left out of them, and, if
    /// the agent itself is told no address, addresses and headers.
    pub use_insights_settings: bool,
    /// That file, if it is not in the usual place. `%VAR%` takes environment variables.
    pub system_json: Option<Template>,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self {
            user_data: Vec::new(),
            process_names: ["io-connect-desktop", "io-connect-desktop-inner", "tick42-glue-desktop"]
                .map(String::from)
                .to_vec(),
            use_insights_settings: false,
            system_json: None,
        }
    }
}

/// How io.Connect's log files are read, once their sharing is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Where reading starts in files that are there when sharing is switched on: `end` (what is written from now on),
    /// `beginning`, a duration (`24h`: what is not older), or a time as in `2026-11-23T08:00:00Z`.
    pub start_at: StartAt,
    /// How long a record may wait for a line that continues it, and a batch for more records.
    pub flush_interval: Period,
    /// How often folders and files are looked through, whether or not the system told of a change.
    pub poll_interval: Period,
    /// Whether the system is asked to tell of changes, which makes lines arrive sooner. Network drives that do this badly
    /// are better looked through only.
    pub watch: bool,
    /// Most records of one file that are sent of any one second of its time; what is more is counted as
    /// `rate_limited`. 0: no limit.
    pub max_records_per_second: u32,
    /// Layouts of this company's own, tried in this order before the ones that are known.
    pub layouts: Vec<LayoutSettings>,
    /// Records that are not sent, or only some of them. The first filter that takes a record decides.
    pub filters: Vec<FilterSettings>,
    /// What is hidden in records before they are kept or sent.
    pub redaction: RedactionSettings,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            start_at: StartAt::default(),
            flush_interval: Period::from_millis(500),
            poll_interval: Period::from_secs(10),
            watch: true,
            max_records_per_second: 0,
            layouts: Vec::new(),
            filters: Vec::new(),
            redaction: RedactionSettings::default(),
        }
    }
}

/// Records that are not sent. What is set has to be so for a record to be taken by the filter; what is not set is so for
/// every record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// Its file: a file name in which `*` stands for any characters.
    pub files: Option<String>,
    /// Its level is less serious than this. A record without a level is not.
    pub below: Option<Severity>,
    /// Its category, in which `*` stands for any characters.
    pub category: Option<String>,
    /// A regular expression that is found in its message, as it stands in the file.
    pub pattern: Option<Expression>,
    /// Of so many records one is sent all the same. 0: none.
    pub keep_one_in: u32,
}

/// Levels of log records, from the least serious one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Severity numbers 1 to 4.
    Trace,
    /// 5 to 8.
    Debug,
    /// 9 to 12.
    Info,
    /// 13 to 16.
    Warn,
    /// 17 to 20.
    Error,
    /// 21 to 24.
    Fatal,
}

/// What is hidden in records before they are kept or sent. docs/privacy.md has examples of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct RedactionSettings {
    /// Passwords, tokens, keys, cookies: by the name of their key, by their header, and by their shape.
    pub credentials: bool,
    /// E-mail addresses.
    pub email: bool,
    /// Numbers of payment cards, by network and check digit.
    pub payment_cards: bool,
    /// International bank account numbers, by country and check digits.
    pub ibans: bool,
    /// Telephone numbers with their country, and in North America's groups.
    pub phone_numbers: bool,
    /// The user's name, and the names of home directories.
    pub user: bool,
    /// IP addresses.
    pub ip_addresses: bool,
    /// The company's own patterns, after the others.
    pub patterns: Vec<RedactionPattern>,
}

impl Default for RedactionSettings {
    fn default() -> Self {
        Self {
            credentials: true,
            email: true,
            payment_cards: true,
            ibans: true,
            phone_numbers: true,
            user: true,
            ip_addresses: false,
            patterns: Vec::new(),
        }
    }
}

/// A pattern of the company's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactionPattern {
    /// Stands, in brackets, in the place of what is hidden.
    pub name: String,
    /// What to hide: all that it finds, or what its groups hold if it has any.
    pub pattern: Expression,
}

/// A log layout of the company's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayoutSettings {
    /// The files it is for: a file name in which `*` stands for any characters.
    pub files: String,
    /// A regular expression for the first line of a record, with the named groups `message`, and as far as there are
    /// such: `time`, `level`, `category`, `instance`, `thread`.
    pub pattern: Pattern,
    /// Format of the group `time`, in strptime's letters.
    #[serde(default = "LayoutSettings::default_time_format")]
    pub time_format: String,
}

impl LayoutSettings {
    pub(super) fn default_time_format() -> String {
        "%Y-%m-%dT%H:%M:%S%.f".to_owned()
    }
}

/// The durable queue between the sources and the collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// How much disk the queue may take. When it is full, log files wait, apps are told to send again later, and for what is
    /// nowhere else the oldest of what is worth no more gives way: metrics first, then traces, then log records that are in no
    /// file.
    pub max_bytes: ByteSize,
    /// Free space that the queue leaves on its disk, at most a tenth of it. With less the queue does not grow: log files
    /// wait, old metrics and traces give way to new ones, and what finds no room is held in memory, at most 4 MiB of it,
    /// and sent from there. `0 B` leaves nothing.
    pub min_free_disk: ByteSize,
    /// How old queued data may become before it is dropped.
    pub max_age: Period,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::from_mib(256),
            min_free_disk: ByteSize::from_mib(1024),
            max_age: Period::from_duration(Duration::from_hours(14 * 24)),
        }
    }
}

/// What the organisation decides instead of the user. What is decided is shown as "set by your organisation", and cannot
/// be changed in the tray, the window or on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// Whether the platform's logs are shared.
    pub share_platform_logs: Option<bool>,
    /// Whether the applications' logs are shared.
    pub share_application_logs: Option<bool>,
    /// Whether the user may pause.
    pub allow_pause: bool,
    /// Whether the tray program starts with the user's session.
    pub autostart: Option<bool>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { share_platform_logs: None, share_application_logs: None, allow_pause: true, autostart: None }
    }
}

impl PolicySettings {
    /// What is decided on the sharing of a kind of logs.
    #[must_use]
    pub const fn shares(&self, kind: LogKind) -> Option<bool> {
        match kind {
            LogKind::Platform => self.share_platform_logs,
            LogKind::Applications => self.share_application_logs,
        }
    }
}

/// The agent's own log file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramLogSettings {
    /// The least serious level that is written.
    pub level: LogLevel,
}

/// Levels of the agent's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something was lost or does not work.
    Error,
    /// Something needs a look, nothing was lost.
    Warn,
    /// Starts, stops, changes of state.
    #[default]
    Info,
    /// For finding faults; still nothing sensitive.
    Debug,
}
