//! The usage history of seven days, for the window and `insights-agent usage`. It stays on this
//! machine and is never exported.
//!
//! **Format:** `usage.json` in the data folder: the last session, and for each local day the
//! seconds in each session state and, for each app, focus, switches and starts. The file is
//! replaced once a minute, so a kill loses at most a minute.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::paths::write_atomically;
use crate::session::SessionState;

/// Number of days that are kept, including today.
pub const DAYS: i32 = 7;
/// Maximum size of the file, bytes. It has some KiB; a larger one was not written by the agent.
const MAX_BYTES: u64 = 4 << 20;

/// The usage history, day by day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// The last session; none before the first.
    #[serde(default)]
    pub session: Option<Session>,
    /// Usage by local day.
    #[serde(default)]
    pub days: BTreeMap<Date, Day>,
}

/// A user session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `session.id`.
    pub id: String,
    /// When it was first seen.
    pub started_unix_ms: i64,
    /// When it was last seen.
    pub seen_unix_ms: i64,
}

/// The usage of one day, or of several days together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Day {
    /// Seconds in each state.
    pub states: BTreeMap<SessionState, f64>,
    /// Apps, by name.
    pub apps: BTreeMap<String, AppUsage>,
}

/// The usage of one app.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct AppUsage {
    /// Seconds in front while the user was active.
    pub focus_seconds: f64,
    /// Number of switches to the app.
    pub switches: u64,
    /// Number of starts.
    pub starts: u64,
}

impl Usage {
    /// Loads the history. A file that cannot be read counts as empty.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        match read(file) {
            Ok(usage) => usage,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!("failed to read the usage history, starting a new one: {error:#}");
                Self::default()
            }
        }
    }

    /// Saves the history.
    ///
    /// # Errors
    /// When the file cannot be written; the old one is then unchanged.
    pub fn store(&self, file: &Path) -> io::Result<()> {
        write_atomically(file, &serde_json::to_vec(self)?)
    }

    /// Returns the entry of a day, creating it if needed. Days that are too old on `date` are
    /// removed.
    pub fn day(&mut self, date: Date) -> &mut Day {
        if !self.days.contains_key(&date) {
            let oldest = date.saturating_sub((DAYS - 1).days());
            self.days.retain(|day, _| *day >= oldest);
        }
        self.days.entry(date).or_default()
    }

    /// Returns the sum of the last `days` days up to `today`.
    #[must_use]
    pub fn total(&self, today: Date, days: i32) -> Day {
        let first = today.saturating_sub((days.clamp(1, DAYS) - 1).days());
        let mut total = Day::default();
        for day in self.days.range(first..=today).map(|(_, day)| day) {
            for (state, seconds) in &day.states {
                *total.states.entry(*state).or_default() += seconds;
            }
            for (name, app) in &day.apps {
                let sum = total.apps.entry(name.clone()).or_default();
                sum.focus_seconds += app.focus_seconds;
                sum.switches += app.switches;
                sum.starts += app.starts;
            }
        }
        total
    }

    /// Records that a session exists at a time. Returns the previous session if this is another
    /// one.
    pub fn record_session(&mut self, id: &str, at: Timestamp) -> Option<Session> {
        let at = at.as_millisecond();
        match &mut self.session {
            Some(session) if session.id == id => {
                session.seen_unix_ms = at;
                None
            }
            _ => self.session.replace(Session { id: id.to_owned(), started_unix_ms: at, seen_unix_ms: at }),
        }
    }
}

impl Day {
    /// Returns the apps by focus time, the most used first.
    #[must_use]
    pub fn ranking(&self) -> Vec<(&str, AppUsage)> {
        let mut apps: Vec<_> = self.apps.iter().map(|(name, app)| (name.as_str(), *app)).collect();
        apps.sort_by(|(_, a), (_, b)| b.focus_seconds.total_cmp(&a.focus_seconds));
        apps
    }
}

fn read(file: &Path) -> io::Result<Usage> {
    if file.metadata()?.len() > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

#[cfg(test)]
mod tests;
