//! The settings as types: one structure per section.
//!
//! Invariants: a value of these types is valid, because each type checks itself while it is read;
//! [`Settings::default`] is a complete, working configuration.
//!
//! The doc comment of a field is its documentation in docs/configuration.md, in the JSON schema and
//! in Group Policy. `#[schemars(extend("example" = ...))]` is its value in the example of
//! docs/configuration.md; without it the example shows the default.

mod collector;
mod logs;
mod receiver;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::consent::LogKind;

use super::values::{ByteSize, Expression, Period, Ratio, Secret, Template};

pub use collector::{CollectorSettings, DestinationSettings, OAuth2Settings, Protocol, ProxySettings, TlsVersion};
pub use logs::{FilterSettings, LayoutSettings, LogSettings, RedactionPattern, RedactionSettings, Severity};
pub use receiver::{ReceiverSettings, RequestViewSettings, SamplingSettings};

/// All settings of the agent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where data is sent, and how.
    pub collector: CollectorSettings,
    /// Attributes added to every signal.
    pub resource: ResourceSettings,
    /// Metrics of this machine.
    pub host: HostSettings,
    /// Metrics of the io.Connect processes.
    pub processes: ProcessSettings,
    /// Metrics of the agent itself: data read, delivered, lost and queued, and the agent's own use
    /// of CPU and memory.
    pub internal_metrics: InternalMetricsSettings,
    /// App usage: which app was in use, and for how long. The names of io.Connect apps are sent.
    /// All other programs are reported only as "other", unless a rule in `focus.apps` names the
    /// program. Window titles are never sent.
    pub focus: FocusSettings,
    /// How io.Connect is found on this machine.
    pub connect: ConnectSettings,
    /// How io.Connect's log files are read. They are read only if their sharing is on.
    pub logs: LogSettings,
    /// The local OTLP receiver, for telemetry that the platform and its apps send themselves. It
    /// listens on the addresses of this machine only (`127.0.0.1` and `::1`). Both ports accept
    /// gRPC and HTTP.
    pub receiver: ReceiverSettings,
    /// The queue on disk between the sources and the collector.
    pub queue: QueueSettings,
    /// The agent's own log file.
    pub program_log: ProgramLogSettings,
    /// Decisions that the organisation makes instead of the user. They are shown as "set by your
    /// organisation" and cannot be changed in the tray, in the window or on the command line.
    pub policy: PolicySettings,
}

/// Attributes added to every signal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// How the user is identified in exported data: by `name`, by `hash` (HMAC-SHA256 of the name),
    /// or not at all (`none`).
    pub user: UserPolicy,
    /// Key for the user hash. Set the same key on all machines so that a user has the same hash
    /// everywhere. If unset, each installation generates its own key.
    #[schemars(extend("example" = "the same text on every machine"))]
    pub user_hash_key: Option<Secret>,
    /// Value of the resource attribute `deployment.environment.name`. Environment variables are
    /// expanded: `%VAR%`, or `%VAR?default%` with a default. If unset, the attribute is not added.
    #[schemars(extend("example" = "%IOCONNECT_ENV?production%"))]
    pub environment: Option<Template>,
    /// Additional resource attributes of your company. Environment variables are expanded: `%VAR%`,
    /// or `%VAR?default%` with a default.
    #[schemars(extend("example" = { "department": "%DEPT?unknown%", "office": "London" }))]
    pub attributes: BTreeMap<String, Template>,
}

/// How the user is identified in exported data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserPolicy {
    /// The attribute `user.name`.
    Name,
    /// The attribute `user.hash`.
    #[default]
    Hash,
    /// No attribute.
    None,
}

/// Metrics of this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostSettings {
    /// Enables or disables metrics of this machine.
    pub enabled: bool,
    /// Export interval for host and process metrics.
    pub export_interval: Period,
    /// Interval at which CPU and memory are sampled. Time above a threshold is counted in steps of
    /// this length.
    pub sample_interval: Period,
    /// Share of CPU utilisation from which time counts as above the threshold: 0.9 means 90%.
    pub cpu_threshold: Ratio,
    /// Share of used memory from which time counts as above the threshold: 0.9 means 90%.
    pub memory_threshold: Ratio,
    /// Sends host metrics from only one agent per machine, for machines that several users share.
    /// `false`: every agent sends them.
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
    /// Enables or disables metrics of the io.Connect processes.
    pub enabled: bool,
    /// Interval at which the process list is read. The metrics are exported every
    /// `host.export_interval`.
    pub sample_interval: Period,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { enabled: true, sample_interval: Period::from_secs(30) }
    }
}

/// Metrics of the agent itself: data read, delivered, lost and queued, and the agent's own use of
/// CPU and memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InternalMetricsSettings {
    /// Enables or disables metrics of the agent itself.
    pub enabled: bool,
}

impl Default for InternalMetricsSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// App usage: which app was in use, and for how long. The names of io.Connect apps are sent. All
/// other programs are reported only as "other", unless a rule in `focus.apps` names the program.
/// Window titles are never sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FocusSettings {
    /// Enables or disables metrics of app usage.
    pub enabled: bool,
    /// Time without input after which the user counts as idle. The idle time is counted from the
    /// last input.
    pub idle_after: Period,
    /// Interval at which the desktop is checked, in addition to notifications from the operating
    /// system.
    pub poll_interval: Period,
    /// Rules that assign windows to apps. The first matching rule decides.
    #[schemars(extend("example" = [
        { "app": "client-list", "title": "^Clients( - .*)?$" },
        { "app": "excel", "process": "excel", "class": "XLMAIN" },
    ]))]
    pub apps: Vec<AppRule>,
    /// Folders with io.Connect app definitions (`*.json`). Their titles and programs name the apps
    /// of windows that no rule matches. Environment variables are expanded (`%VAR%`).
    #[schemars(extend("example" = [
        "%LOCALAPPDATA%\\interop.io\\io.Connect Desktop\\Desktop\\config\\apps"
    ]))]
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

/// Assigns windows to an app. A window matches if it meets every condition that is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRule {
    /// Name of the app in exported data.
    pub app: String,
    /// Regular expression that must match somewhere in the window title.
    #[serde(default)]
    pub title: Option<Expression>,
    /// Window class. `*` matches any characters.
    #[serde(default)]
    pub class: Option<String>,
    /// File name of the program, without `.exe`. `*` matches any characters. If set, the rule
    /// applies to the windows of all programs; otherwise only to those of io.Connect and the
    /// programs it started.
    #[serde(default)]
    pub process: Option<String>,
}

/// How io.Connect is found on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectSettings {
    /// Folders with io.Connect user data. Each contains one folder per environment and region, for
    /// example `DEMO-INTEROP.IO`. If empty, the default folders of io.Connect and Glue42 are used.
    /// Environment variables are expanded (`%VAR%`).
    #[schemars(extend("example" = ["%LOCALAPPDATA%\\interop.io\\io.Connect Desktop\\UserData"]))]
    pub user_data: Vec<Template>,
    /// File names of the io.Connect program, without `.exe`; upper and lower case are the same. To
    /// add the file name of a rebranded platform, list the default names too.
    #[schemars(extend("example" = ["io-connect-desktop", "company-desktop"]))]
    pub process_names: Vec<String>,
    /// Uses the io.Insights settings in io.Connect's `system.json` (section `insights`, otherwise
    /// `otel`) as defaults of the agent: resource attributes, redaction and filters of logs.
    /// Collector addresses and headers are used only if the agent's own settings contain no
    /// collector address.
    pub use_insights_settings: bool,
    /// Path of io.Connect's `system.json`, if it is not in the default folder. Environment
    /// variables are expanded (`%VAR%`).
    #[schemars(extend("example" =
        "%ProgramFiles%\\interop.io\\io.Connect Desktop\\Desktop\\config\\system.json"))]
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

/// The queue on disk between the sources and the collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Maximum disk space of the queue, at least 1 MiB. When the queue is full, reading of log
    /// files pauses and apps are asked to send again later. For new data that exists nowhere else,
    /// the oldest data of the same or lower value is dropped: metrics first, then traces, then log
    /// records that are not in a file.
    pub max_bytes: ByteSize,
    /// Free disk space that the queue leaves, limited to a tenth of the disk. With less free space
    /// the queue does not grow: reading of log files pauses, new metrics and traces replace old
    /// ones, and data that does not fit is kept in memory (at most 4 MiB) and sent from there. `0
    /// B` turns this off.
    pub min_free_disk: ByteSize,
    /// Maximum age of queued data. Older data is dropped.
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

/// Decisions that the organisation makes instead of the user. They are shown as "set by your
/// organisation" and cannot be changed in the tray, in the window or on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// Turns sharing of the platform's log files on or off. If unset, the user decides.
    #[schemars(extend("example" = true))]
    pub share_platform_logs: Option<bool>,
    /// Turns sharing of the applications' log files on or off. If unset, the user decides.
    pub share_application_logs: Option<bool>,
    /// Allows the user to pause the agent.
    pub allow_pause: bool,
    /// Turns the start of the tray program at sign-in on or off. If unset, the user decides.
    #[schemars(extend("example" = true))]
    pub autostart: Option<bool>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { share_platform_logs: None, share_application_logs: None, allow_pause: true, autostart: None }
    }
}

impl PolicySettings {
    /// Returns the organisation's decision on sharing a kind of logs; `None` if the user decides.
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
    /// Lowest level that is written.
    pub level: LogLevel,
}

/// Levels of the agent's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something does not work, or data was lost.
    Error,
    /// Something needs attention; no data was lost.
    Warn,
    /// Starts, stops and changes of state.
    #[default]
    Info,
    /// Details for troubleshooting. Contains no sensitive data either.
    Debug,
}
