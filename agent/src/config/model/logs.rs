//! Settings of io.Connect's log files: layouts, filters and redaction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{Expression, Pattern, Period, StartAt};

/// How io.Connect's log files are read. They are read only if their sharing is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Where to start in log files that exist when sharing is turned on: at the `end` (only new
    /// lines), at the `beginning`, at a duration ago (`24h`: records of the last 24 hours), or at a
    /// time (`2026-11-23T08:00:00Z`).
    pub start_at: StartAt,
    /// Maximum time to wait for continuation lines of a record, and for more records in a batch. An
    /// unfinished last line is sent as it is after 20 times this duration.
    pub flush_interval: Period,
    /// Interval at which folders and files are checked for changes, in addition to notifications
    /// from the operating system.
    pub poll_interval: Period,
    /// Uses file change notifications of the operating system, so that lines arrive sooner. Turn
    /// this off for network drives on which notifications are unreliable; files are then checked
    /// every `logs.poll_interval` only.
    pub watch: bool,
    /// Maximum records sent per file and second of log time. Excess records are dropped and counted
    /// as `rate_limited`. 0 means no limit.
    #[schemars(extend("example" = 2000))]
    pub max_records_per_second: u32,
    /// Log layouts of your company. They are tried in this order, before the built-in layouts.
    #[schemars(extend("example" = [{
        "files": "pricing-*.log",
        "pattern": "^(?<time>\\S+ \\S+) \\[(?<level>\\w+)\\] (?<category>\\S+): (?<message>.*)$",
        "time_format": "%Y-%m-%d %H:%M:%S%.f",
    }]))]
    pub layouts: Vec<LayoutSettings>,
    /// Filters that drop records or thin them out. The first matching filter decides.
    #[schemars(extend("example" = [
        { "below": "info" },
        { "files": "clientlist.log", "category": "*.heartbeat", "pattern": "^(ping|pong)", "keep_one_in": 100 },
    ]))]
    pub filters: Vec<FilterSettings>,
    /// What is redacted in log records before they are stored or sent. docs/privacy.md has examples
    /// of each rule.
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

/// Drops log records or thins them out. A record matches if it meets every condition that is set; a
/// filter without conditions matches every record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// Name of the log file. `*` matches any characters.
    pub files: Option<String>,
    /// Matches records whose level is lower than this. Records without a level do not match.
    pub below: Option<Severity>,
    /// Category of the record. `*` matches any characters.
    pub category: Option<String>,
    /// Regular expression that must match somewhere in the message, as written in the file.
    pub pattern: Option<Expression>,
    /// Keep one in N matching records, starting with the first one; 0 drops all of them.
    pub keep_one_in: u32,
}

/// Levels of log records, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// OpenTelemetry severity numbers 1 to 4.
    Trace,
    /// Severity numbers 5 to 8.
    Debug,
    /// Severity numbers 9 to 12.
    Info,
    /// Severity numbers 13 to 16.
    Warn,
    /// Severity numbers 17 to 20.
    Error,
    /// Severity numbers 21 to 24.
    Fatal,
}

/// What is redacted in log records before they are stored or sent. docs/privacy.md has examples of
/// each rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct RedactionSettings {
    /// Redacts passwords, tokens, keys and cookies. They are recognised by the name of their key,
    /// by their header, or by their format.
    pub credentials: bool,
    /// Redacts e-mail addresses.
    pub email: bool,
    /// Redacts payment card numbers, recognised by card network and check digit.
    pub payment_cards: bool,
    /// Redacts international bank account numbers (IBAN), recognised by country and check digits.
    pub ibans: bool,
    /// Redacts telephone numbers with a country code, and numbers in the North American format.
    pub phone_numbers: bool,
    /// Redacts the user's name and the names of home directories.
    pub user: bool,
    /// Redacts IP addresses.
    #[schemars(extend("example" = true))]
    pub ip_addresses: bool,
    /// Redaction patterns of your company, applied after the built-in rules.
    #[schemars(extend("example" = [{ "name": "account", "pattern": "\\bACC-\\d{6}\\b" }]))]
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

/// A redaction pattern of your company.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactionPattern {
    /// Name of the pattern. It replaces the redacted text, in brackets: `[account]`.
    pub name: String,
    /// Regular expression of the text to redact: the whole match, or only its groups if it has any.
    pub pattern: Expression,
}

/// A log layout of your company.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayoutSettings {
    /// Name of the log files with this layout. `*` matches any characters.
    pub files: String,
    /// Regular expression for the first line of a record. The named group `message` is required;
    /// `time`, `level`, `category`, `instance` and `thread` are optional.
    pub pattern: Pattern,
    /// Format of the group `time`, in strptime notation (`%Y-%m-%d %H:%M:%S`).
    #[serde(default = "LayoutSettings::default_time_format")]
    pub time_format: String,
}

impl LayoutSettings {
    pub(in crate::config) fn default_time_format() -> String {
        "%Y-%m-%dT%H:%M:%S%.f".to_owned()
    }
}
