//! How other programs of the same user ask the running agent: the command line, the tray, the window.
//!
//! Wire format: a local socket (on Unix `control.sock` in the data folder, with mode 0600 in a folder of mode 0700; on
//! Windows a named pipe whose name is made from the data folder's path, open to its owner only). One [`Request`] as a
//! line of JSON, one [`Reply`] as a line of JSON, then the agent closes. A line has at most [`MAX_LINE`] bytes.

mod client;
mod server;

use std::io;

use interprocess::local_socket::Name;
use serde::{Deserialize, Serialize};

pub use client::{AskError, Asked, ask, ask_or_lock, is_answered};
pub use server::{Answer, Server};

use crate::config::SettingLine;
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::paths::DataDir;
use crate::pause::PauseFor;
use crate::pipeline::exporter::{Probe, SentBatch};
use crate::recent_load::Hour;
use crate::status::Status;
use crate::usage::Day;

/// Longest line: a status is some KiB, the batches that were sent last are more.
pub const MAX_LINE: u64 = 4 << 20;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How the agent is.
    Status,
    /// The user's decision on sharing logs.
    ShareLogs {
        /// On which logs.
        kinds: Vec<LogKind>,
        /// Whether they are shared.
        shared: bool,
    },
    /// The user wants a pause, or its end.
    Pause {
        /// For how long.
        until: PauseFor,
    },
    /// The last hour of this machine.
    Hour,
    /// The batches of a signal that the collector took last.
    Sent {
        /// Which signal.
        signal: Signal,
    },
    /// Forget the last hour, the last days, and the batches that were sent last.
    DeleteHistory,
    /// What the user did in the last days, today included.
    Usage {
        /// How many days.
        days: i32,
    },
    /// Send an empty request of every signal to the collector.
    TestConnection,
    /// The settings in force.
    Settings,
    /// Show the window, as the tray program does.
    OpenWindow,
    /// Shut down; queued data is sent, or kept on disk.
    #[serde(rename = "end")]
    Shutdown,
    /// The user has answered the first questions, or does not want to.
    Welcomed,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// How the agent is.
    Status(Box<Status>),
    /// The decision is in force; so many queued records were deleted.
    LogsShared {
        /// Queued log records that were deleted.
        deleted: u64,
    },
    /// The pause is in force.
    Paused {
        /// When it ends; none if there is none.
        until_unix_ms: Option<i64>,
    },
    /// The last hour.
    Hour(Hour),
    /// What was sent, the latest first.
    Sent {
        /// The batches.
        batches: Vec<SentBatch>,
    },
    /// The last days, together.
    Usage(Day),
    /// What the collector said, for each signal.
    Tested {
        /// The answers.
        probes: Vec<Probe>,
    },
    /// The settings.
    Settings {
        /// Each of them.
        settings: Vec<SettingLine>,
    },
    /// Done.
    Done,
    /// It could not be done.
    Failed {
        /// Why.
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
