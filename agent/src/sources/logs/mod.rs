//! io.Connect's log files, followed as long as the user shares them.
//!
//! ```text
//! folders, files (tracker.rs, files.rs) ─► text (text.rs) ─► records (framing.rs, layout.rs)
//!     ─► left out? (filter.rs) ─► time, redaction, trace, exception (prepare.rs) ─► OTLP (encode.rs) ─► queue
//! ```
//!
//! Invariants:
//! - no log file is opened before its kind is shared; once sharing ends nothing more of it reaches the queue;
//! - the file is the buffer: a position moves in the same transaction that stores the records before it;
//! - what tells of changes (notify) only wakes the reader; the poll is the truth.
//!
//! A file that is there when sharing is switched on is read from its end, unless the settings say otherwise; one that
//! comes later from its beginning, as does one that takes the place of a file that has been followed.

pub mod clock;
mod compressed;
pub mod encode;
pub mod enrich;
mod files;
pub mod filter;
pub mod framing;
mod history;
pub mod layout;
mod prepare;
pub mod preview;
mod reader;
#[cfg(test)]
mod tests;
mod text;
mod tracker;
mod watcher;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::LogSettings;
use crate::consent::Consent;
use crate::pause::Pause;
use crate::pipeline::queue::Queue;
use crate::redaction::LazyRedactor;
use reader::{Command, Reader};

/// Wake-ups that may wait; beyond, one look through everything serves them all.
const WAITING_COMMANDS: usize = 256;

/// What the log source needs to know.
#[derive(Debug, Clone)]
pub struct LogContext {
    /// How files are read.
    pub settings: LogSettings,
    /// Folders that hold one folder for each environment and region.
    pub user_data: Vec<PathBuf>,
    /// Where records go.
    pub queue: Queue,
    /// The resource, encoded.
    pub resource: Vec<u8>,
    /// Hides what must not be sent.
    pub redactor: Arc<LazyRedactor>,
    /// While there is one, nothing is read.
    pub pause: Pause,
    /// The zone of the times in the files: that of this machine.
    pub zone: jiff::tz::TimeZone,
}

/// What the log source is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogStatus {
    /// Files that are followed.
    pub files: usize,
    /// Records taken since the start of the program.
    pub records: u64,
    /// Bytes that lie in followed files and have not been taken.
    pub behind_bytes: u64,
    /// It waits for room in the queue.
    pub waiting_for_room: bool,
    /// The last thing that went wrong with a file.
    pub problem: Option<String>,
}

/// The running log source.
#[derive(Debug)]
pub struct LogSource {
    commands: SyncSender<Command>,
    thread: JoinHandle<()>,
    status: watch::Receiver<LogStatus>,
}

impl LogSource {
    /// Starts the reader's thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(context: LogContext, consent: Consent) -> io::Result<Self> {
        let (commands, inbox) = sync_channel(WAITING_COMMANDS);
        let (publish, status) = watch::channel(LogStatus::default());
        let own = commands.clone();
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || Reader::new(context, consent, inbox, own, publish).run())?;
        Ok(Self { commands, thread, status })
    }

    /// A handle that tells the reader what is shared.
    #[must_use]
    pub fn control(&self) -> LogControl {
        LogControl { commands: self.commands.clone() }
    }

    /// What the source is doing, now and after every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LogStatus> {
        self.status.clone()
    }

    /// Hands over what has been read, and ends the thread.
    pub fn stop(self) {
        let _ = self.commands.send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the log reader's thread ended by a panic");
        }
    }
}

/// Tells the reader what is shared.
#[derive(Debug, Clone)]
pub struct LogControl {
    commands: SyncSender<Command>,
}

impl LogControl {
    /// Blocks until the reader follows the new consent: then nothing of a kind that is not shared is on its way any more.
    pub fn set_consent(&self, consent: Consent) {
        let (done, answer) = sync_channel(1);
        if self.commands.send(Command::Consent(consent, done)).is_ok() {
            let _ = answer.recv();
        }
    }
}
