//! The control protocol: how the window, the tray and the command line of the same user talk to the
//! running agent.
//!
//! **Format:** a local socket. On Unix it is `control.sock` in the data folder, with mode 0600 in a
//! folder of mode 0700; on Windows a named pipe that is derived from the data folder's path and
//! open to its owner only. The client sends one [`Request`] as a line of JSON, the agent answers
//! with one [`Reply`] as a line of JSON and closes the connection. A line has at most
//! [`MAX_LINE_BYTES`] bytes.

mod client;
mod server;

use std::io;

use interprocess::local_socket::Name;
use serde::{Deserialize, Serialize};

pub use client::{AskError, Contact, ask, ask_or_lock, is_running};
pub use server::{Answer, Server};

use crate::config::SettingLine;
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::paths::DataDir;
use crate::pause::PauseFor;
use crate::pipeline::exporter::{Probe, SentBatch};
use crate::recent_load::LastHour;
use crate::status::Status;
use crate::usage::Day;

/// Maximum length of a line: a status has some KiB, recent batches are larger.
pub const MAX_LINE_BYTES: u64 = 4 << 20;

/// A request to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Returns the status.
    Status,
    /// Changes which logs are shared.
    ShareLogs {
        /// The kinds of logs.
        kinds: Vec<LogKind>,
        /// Whether they are shared.
        shared: bool,
    },
    /// Starts or ends a pause.
    Pause {
        /// How long.
        until: PauseFor,
    },
    /// Returns the load of the last hour.
    #[serde(rename = "hour")]
    RecentLoad,
    /// Returns the batches of a signal that the collector accepted last.
    #[serde(rename = "sent")]
    RecentBatches {
        /// The signal.
        signal: Signal,
    },
    /// Deletes the load of the last hour, the usage history, and the recent batches.
    DeleteHistory,
    /// Returns the usage of the last days, including today.
    Usage {
        /// Number of days.
        days: i32,
    },
    /// Sends an empty request of every signal to the collector.
    TestConnection,
    /// Returns the settings in force.
    Settings,
    /// Opens the window, if the agent runs in the tray program.
    OpenWindow,
    /// Shuts the agent down; queued data is sent, or kept on disk.
    #[serde(rename = "end")]
    Shutdown,
    /// Records that the user has answered or dismissed the first question.
    Welcomed,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The status.
    Status(Box<Status>),
    /// The decision is in force.
    LogsShared {
        /// Number of queued log records that were deleted.
        deleted: u64,
    },
    /// The pause is in force, or has ended.
    Paused {
        /// When the pause ends; none if the agent is not paused.
        until_unix_ms: Option<i64>,
    },
    /// The load of the last hour.
    #[serde(rename = "hour")]
    RecentLoad(LastHour),
    /// Recent batches, the latest first.
    #[serde(rename = "sent")]
    RecentBatches {
        /// The batches.
        batches: Vec<SentBatch>,
    },
    /// The sum of the last days.
    Usage(Day),
    /// The collector's answer for each signal.
    Tested {
        /// The answers.
        probes: Vec<Probe>,
    },
    /// The settings.
    Settings {
        /// Each of them.
        settings: Vec<SettingLine>,
    },
    /// The request was carried out.
    Done,
    /// The request failed.
    Failed {
        /// The reason, for people.
        why: String,
    },
}

#[cfg(unix)]
fn socket_name(data: &DataDir) -> io::Result<Name<'static>> {
    use interprocess::local_socket::{GenericFilePath, ToFsName};
    data.control_socket().to_fs_name::<GenericFilePath>()
}

#[cfg(windows)]
fn socket_name(data: &DataDir) -> io::Result<Name<'static>> {
    use interprocess::local_socket::{GenericNamespaced, ToNsName};
    let path = std::path::absolute(data.path())?.to_string_lossy().to_lowercase();
    let digest = ring::digest::digest(&ring::digest::SHA256, path.as_bytes());
    let short = digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("insights-agent-{short:016x}").to_ns_name::<GenericNamespaced>()
}

#[cfg(test)]
mod tests;
