//! Pausing: until a time that the user chose, nothing is measured, read or sent.
//!
//! What waits stays in the queue, and log files are read on from where reading stopped: a pause loses nothing but the
//! measurements of its time. It is kept in `pause.json` in the data folder, so it outlives a restart; a file that is
//! missing or damaged means "not paused".

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::paths::write_atomically;

/// Longest pause: "until tomorrow", on the day on which the clock is set back. What lies further ahead comes of a clock
/// that was wrong, and does not count.
const LONGEST: SignedDuration = SignedDuration::from_hours(26);
/// Whoever waits for the end looks at the clock this often: it may be set, and the machine may sleep.
const LOOK: Duration = Duration::from_secs(5);

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseFor {
    /// From now on.
    OneHour,
    /// Until the next midnight of this machine's zone.
    Tomorrow,
    /// Not at all: a pause ends.
    Now,
}

impl PauseFor {
    /// When a pause that begins `now` ends.
    #[must_use]
    pub fn end(self, now: &ZonedDateTime) -> Option<Timestamp> {
        match self {
            Self::OneHour => now.timestamp().checked_add(SignedDuration::from_hours(1)).ok(),
            Self::Tomorrow => Some(now.tomorrow().ok()?.start_of_day().ok()?.timestamp()),
            Self::Now => None,
        }
    }
}

/// Whether there is a pause, for everybody who has to keep to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pause {
    file: Option<PathBuf>,
    until: Arc<watch::Sender<Option<Timestamp>>>,
}

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    until: Option<Timestamp>,
}

impl Default for Pause {
    /// No pause, and none that is kept.
    fn default() -> Self {
        Self { file: None, until: Arc::new(watch::Sender::new(None)) }
    }
}

impl Pause {
    /// The pause that is kept in a file.
    #[must_use]
    pub fn load(file: PathBuf) -> Self {
        let kept = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let until = kept.and_then(|kept| kept.until);
        Self { file: Some(file), until: Arc::new(watch::Sender::new(until)) }
    }

    /// When it ends; none if there is no pause.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        let now = Timestamp::now();
        (*self.until.borrow()).filter(|until| *until > now && until.duration_since(now) <= LONGEST)
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.until().is_some()
    }

    /// Begins or ends one.
    ///
    /// # Errors
    /// When it cannot be kept; it holds all the same, until the program ends.
    pub fn set(&self, until: Option<Timestamp>) -> io::Result<()> {
        self.until.send_replace(until);
        let Some(file) = &self.file else { return Ok(()) };
        write_atomically(file, &serde_json::to_vec(&Kept { until })?)
    }

    /// Waits until there is none.
    pub async fn over(&self) {
        let mut changes = self.until.subscribe();
        while self.is_on() {
            let left = self.until().map_or(SignedDuration::ZERO, |until| until.duration_since(Timestamp::now()));
            let wait = Duration::try_from(left).unwrap_or_default().min(LOOK);
            // Either way it is looked at again.
            let _ = tokio::time::timeout(wait, changes.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests;
