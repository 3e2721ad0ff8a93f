//! Tails io.Connect's log files while the user shares them.
//!
//! ```text
//! folders, files (tracker.rs, files.rs) ─► text (text.rs) ─► records (framing.rs, layout.rs)
//!     ─► dropped? (filter.rs) ─► time, redaction, trace, exception (prepare.rs)
//!     ─► OTLP (encode.rs) ─► queue
//! ```
//!
//! Invariants:
//! - The source opens no log file before its kind is shared; only `preview.rs` does, when the user
//!   asks for a preview. After sharing ends, no more of its content reaches the queue.
//! - The log file is the buffer: a file's position advances in the same transaction that stores the
//!   records before it.
//! - File system notifications only wake the reader early. Polling alone is sufficient and
//!   authoritative.
//!
//! Where reading starts: a file that exists when its kind is shared is read from its end, unless
//! the settings say otherwise. A file that appears later is read from its beginning, and so is a
//! file that replaces a tailed file.

pub mod clock;
pub mod encode;
pub mod enrich;
mod files;
pub mod filter;
pub mod framing;
pub mod layout;
mod prepare;
pub mod preview;
mod reader;
mod rotated_gzip;
mod start_position;
#[cfg(test)]
mod tests;
mod text;
mod tracker;
mod watcher;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Source, SourceContext, SourceReports};
use crate::config::{LogSettings, Settings};
use crate::consent::Consent;
use crate::ioconnect::folders;
use crate::pause::Pause;
use crate::pipeline::queue::Queue;
use crate::redaction::LazyRedactor;
use reader::{Command, Reader};

/// Maximum wake-ups in the reader's inbox. Further ones are dropped: one rescan covers them all.
const MAX_QUEUED_COMMANDS: usize = 256;

/// The inputs of the log source.
#[derive(Debug, Clone)]
pub struct LogContext {
    /// How files are read.
    pub settings: LogSettings,
    /// Folders that hold one folder per environment and region.
    pub user_data: Vec<PathBuf>,
    /// The queue that receives the records.
    pub queue: Queue,
    /// The encoded resource.
    pub resource: Vec<u8>,
    /// Redacts messages, categories and file names.
    pub redactor: Arc<LazyRedactor>,
    /// While paused, nothing is read.
    pub pause: Pause,
    /// The time zone of the times in the files: this machine's zone.
    pub zone: jiff::tz::TimeZone,
}

impl From<&SourceContext> for LogContext {
    fn from(context: &SourceContext) -> Self {
        let SourceContext { settings, resource, queue, pause, redactor, .. } = context;
        Self {
            settings: settings.logs.clone(),
            user_data: folders::user_data(&settings.connect),
            queue: queue.clone(),
            resource: resource.to_protobuf(),
            redactor: Arc::clone(redactor),
            pause: pause.clone(),
            zone: jiff::tz::TimeZone::system(),
        }
    }
}

/// The state of the log source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogStatus {
    /// Number of tailed files.
    pub files: usize,
    /// Records read since the program started.
    pub records: u64,
    /// Bytes in tailed files that have not been read yet.
    pub behind_bytes: u64,
    /// Reading is stopped because the queue is full or not open yet.
    pub waiting_for_room: bool,
    /// The most recent problem with a file.
    pub problem: Option<String>,
}

/// The log source: starts a [`LogReader`] once the queue knows how far log files were read.
///
/// That is immediately, unless the queue file cannot be opened. Until it is open, log files are
/// left alone: reading from a guessed position would lose or repeat lines. A consent change that
/// arrives before this late start is kept in [`ReaderState`] and used when the reader starts.
#[derive(Debug)]
pub struct LogSource {
    reader: Arc<tokio::sync::Mutex<ReaderState>>,
    status: watch::Receiver<LogStatus>,
    /// The task that waits for the queue; none if the queue was ready at the start.
    late_start: Mutex<Option<JoinHandle<()>>>,
}

/// The reader, and the consent that it applies now or will apply once it starts.
#[derive(Debug)]
struct ReaderState {
    context: LogContext,
    consent: Consent,
    publish: watch::Sender<LogStatus>,
    running: Option<LogReader>,
}

impl ReaderState {
    fn start(&mut self) -> io::Result<()> {
        self.running = Some(LogReader::start(self.context.clone(), self.consent.clone(), self.publish.clone())?);
        Ok(())
    }
}

#[async_trait]
impl Source for LogSource {
    /// Always enabled: the user's consent decides what is read, not a setting.
    fn is_enabled(_: &Settings) -> bool {
        true
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        let queue = context.queue.clone();
        let (publish, status) =
            watch::channel(LogStatus { waiting_for_room: !queue.is_ready(), ..LogStatus::default() });
        let (context, consent) = (LogContext::from(context), context.consent.clone());
        let mut state = ReaderState { context, consent, publish, running: None };
        if queue.is_ready() {
            state.start()?;
            return Ok(Self { reader: Arc::new(tokio::sync::Mutex::new(state)), status, late_start: Mutex::default() });
        }
        let reader = Arc::new(tokio::sync::Mutex::new(state));
        let late = Arc::clone(&reader);
        let late_start = tokio::spawn(async move {
            queue.ready().await;
            // A consent change waits for this lock, so the reader starts with the current consent.
            if let Err(error) = late.lock().await.start() {
                tracing::error!("failed to start the log reader: {error:#}");
            }
        });
        Ok(Self { reader, status, late_start: Mutex::new(Some(late_start)) })
    }

    fn report(&self, reports: &mut SourceReports) {
        reports.logs = self.status.borrow().clone();
    }

    async fn set_consent(&self, consent: &Consent) {
        let mut state = self.reader.lock().await;
        state.consent = consent.clone();
        if let Some(control) = state.running.as_ref().map(LogReader::control) {
            let consent = consent.clone();
            if tokio::task::spawn_blocking(move || control.set_consent(consent)).await.is_err() {
                tracing::error!("failed to pass the consent to the log reader");
            }
        }
    }

    async fn stop(&self) {
        let late_start = self.late_start.lock().take();
        if let Some(late_start) = late_start {
            late_start.abort();
            // Fails if the task was aborted; it may also have finished long before.
            let _ = late_start.await;
        }
        let running = self.reader.lock().await.running.take();
        if let Some(reader) = running
            && tokio::task::spawn_blocking(move || reader.stop()).await.is_err()
        {
            tracing::error!("failed to join the log reader thread");
        }
    }
}

/// A running log reader: one thread that tails the shared files.
#[derive(Debug)]
pub struct LogReader {
    commands: SyncSender<Command>,
    thread: std::thread::JoinHandle<()>,
    status: watch::Receiver<LogStatus>,
}

impl LogReader {
    /// Starts the reader's thread, which publishes its status to `publish`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(context: LogContext, consent: Consent, publish: watch::Sender<LogStatus>) -> io::Result<Self> {
        let (commands, inbox) = sync_channel(MAX_QUEUED_COMMANDS);
        let (own, status) = (commands.clone(), publish.subscribe());
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || Reader::new(context, consent, inbox, own, publish).run())?;
        Ok(Self { commands, thread, status })
    }

    /// Returns a handle that passes consent changes to the reader.
    #[must_use]
    pub fn control(&self) -> LogControl {
        LogControl { commands: self.commands.clone() }
    }

    /// Returns a receiver of the current status and its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LogStatus> {
        self.status.clone()
    }

    /// Appends everything that was read to the queue, and ends the thread.
    pub fn stop(self) {
        // Fails if the thread has already ended.
        let _ = self.commands.send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("log reader thread panicked");
        }
    }
}

/// Passes consent changes to the reader.
#[derive(Debug, Clone)]
pub struct LogControl {
    commands: SyncSender<Command>,
}

impl LogControl {
    /// Blocks until the reader applies the new consent. When it returns, no record of an unshared
    /// kind is on its way to the queue.
    pub fn set_consent(&self, consent: Consent) {
        let (done, answer) = sync_channel(1);
        if self.commands.send(Command::SetConsent(consent, done)).is_ok() {
            let _ = answer.recv();
        }
    }
}
