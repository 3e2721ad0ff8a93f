//! Pausing: until a time that the user chooses, the agent does not measure, read or send anything.
//!
//! Queued data is kept, and log files are read from the old position afterwards, so a pause loses
//! only the measurements of its own time.
//!
//! **Format:** `pause.json` in the data folder, so that a pause survives a restart. A file that is
//! missing or damaged means "not paused".

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::paths::write_atomically;

/// Maximum length: "until tomorrow" on the day when the clock is set back. An end further ahead
/// comes from a wrong clock, and is ignored.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(26);
/// Interval at which a waiting task looks at the clock, because it may be set and the machine may
/// sleep.
const CLOCK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a pause lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseFor {
    /// One hour from now.
    OneHour,
    /// Until the next midnight of this machine's zone.
    Tomorrow,
    /// The pause ends.
    #[serde(rename = "now")]
    Resume,
}

impl PauseFor {
    /// Returns when a pause that starts `now` ends; none if it ends now.
    #[must_use]
    pub fn end(self, now: &ZonedDateTime) -> Option<Timestamp> {
        match self {
            Self::OneHour => now.timestamp().checked_add(SignedDuration::from_hours(1)).ok(),
            Self::Tomorrow => Some(now.tomorrow().ok()?.start_of_day().ok()?.timestamp()),
            Self::Resume => None,
        }
    }
}

/// A handle to the pause, for every part that observes it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pause {
    file: Option<PathBuf>,
    until: Arc<watch::Sender<Option<Timestamp>>>,
}

/// The content of `pause.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    until: Option<Timestamp>,
}

impl Default for Pause {
    /// Not paused, and not stored.
    fn default() -> Self {
        Self { file: None, until: Arc::new(watch::Sender::new(None)) }
    }
}

impl Pause {
    /// Loads the pause that is stored in a file.
    #[must_use]
    pub fn load(file: PathBuf) -> Self {
        let stored = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let until = stored.and_then(|stored| stored.until);
        Self { file: Some(file), until: Arc::new(watch::Sender::new(until)) }
    }

    /// Returns when the pause ends; none if the agent is not paused.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        let now = Timestamp::now();
        (*self.until.borrow()).filter(|until| *until > now && until.duration_since(now) <= MAX_PAUSE)
    }

    /// Returns whether the agent is paused.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.until().is_some()
    }

    /// Starts or ends a pause.
    ///
    /// # Errors
    /// When it cannot be stored; it is still in force until the program ends.
    pub fn set(&self, until: Option<Timestamp>) -> io::Result<()> {
        self.until.send_replace(until);
        let Some(file) = &self.file else { return Ok(()) };
        write_atomically(file, &serde_json::to_vec(&Stored { until })?)
    }

    /// Completes when the agent is not paused.
    pub async fn over(&self) {
        let mut changes = self.until.subscribe();
        while self.is_on() {
            let left = self.until().map_or(SignedDuration::ZERO, |until| until.duration_since(Timestamp::now()));
            let wait = Duration::try_from(left).unwrap_or_default().min(CLOCK_INTERVAL);
            // Whichever comes first, the loop looks at the clock again.
            let _ = tokio::time::timeout(wait, changes.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests;
