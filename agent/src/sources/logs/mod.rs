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

/// The log source: starts a [`LogReader`] once the queue knows how far log files were read.
///
/// That is at once, unless the queue's file cannot be opened. Until then log files are left alone, because reading them
/// from the wrong position would lose or repeat lines.
#[derive(Debug)]
pub struct LogSource {
    reader: Arc<tokio::sync::Mutex<ReaderState>>,
    status: watch::Receiver<LogStatus>,
    /// Waits for the queue; none if it was ready at the start.
    late_start: Mutex<Option<JoinHandle<()>>>,
}

/// The reader, and the consent that it follows, or will follow once it starts.
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
    /// The user's consent decides what is read, not a setting.
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
            // A change of consent waits for this lock, so the reader starts with what is shared now.
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
            // Ended by the abort, or long before.
            let _ = late_start.await;
        }
        let running = self.reader.lock().await.running.take();
        if let Some(reader) = running
            && tokio::task::spawn_blocking(move || reader.stop()).await.is_err()
        {
            tracing::error!("the log reader's thread could not be joined");
        }
    }
}

/// The running reader of log files: a thread that follows them as long as they are shared.
#[derive(Debug)]
pub struct LogReader {
    commands: SyncSender<Command>,
    thread: std::thread::JoinHandle<()>,
    status: watch::Receiver<LogStatus>,
}

impl LogReader {
    /// Starts the reader's thread, which publishes what it does.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(context: LogContext, consent: Consent, publish: watch::Sender<LogStatus>) -> io::Result<Self> {
        let (commands, inbox) = sync_channel(WAITING_COMMANDS);
        let (own, status) = (commands.clone(), publish.subscribe());
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || Reader::new(context, consent, inbox, own, publish).run())?;
        Ok(Self { commands, thread, status })
    }

    /// Returns a handle that passes changes of consent to the reader.
    #[must_use]
    pub fn control(&self) -> LogControl {
        LogControl { commands: self.commands.clone() }
    }

    /// Returns the current status, now and after every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LogStatus> {
        self.status.clone()
    }

    /// Hands over what has been read, and ends the thread.
    pub fn stop(self) {
        // Nobody listens if the thread has ended already.
        let _ = self.commands.send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the log reader's thread panicked");
        }
    }
}

/// Passes changes of consent to the reader.
#[derive(Debug, Clone)]
pub struct LogControl {
    commands: SyncSender<Command>,
}

impl LogControl {
    /// Blocks until the reader follows the new consent: then no record of a kind that is not shared is on its way to the
    /// queue.
    pub fn set_consent(&self, consent: Consent) {
        let (done, answer) = sync_channel(1);
        if self.commands.send(Command::Consent(consent, done)).is_ok() {
            let _ = answer.recv();
        }
    }
}
