//! How other programs of the same user ask the running agent: the command line now, the window later.
//!
//! Wire format: a local socket (on Unix `control.sock` in the data folder, with mode 0600 in a folder of mode 0700; on
//! Windows a named pipe whose name is made from the data folder's path, open to its owner only). One [`Request`] as a
//! line of JSON, one [`Reply`] as a line of JSON, then the agent closes. A line has at most [`MAX_LINE`] bytes.

mod client;
mod server;

use std::io;

use interprocess::local_socket::Name;
use serde::{Deserialize, Serialize};

pub use client::{AskError, ask};
pub use server::{Answer, Server};

use crate::consent::LogKind;
use crate::paths::DataDir;
use crate::status::Status;

/// Longest line: a status is some KiB.
pub const MAX_LINE: u64 = 256 << 10;

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
