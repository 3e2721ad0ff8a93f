//! Seven days of what the user did, kept on this machine: for the window and `insights-agent usage`, sent nowhere.
//!
//! On disk (`usage.json` in the data folder): the session that was last seen, and for each local day the seconds in each
//! state and, for each app, focus, switches and starts. It is written whole once a minute, so that a kill costs a minute.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::paths::write_atomically;
use crate::session::SessionState;

/// Days that are kept, today included.
pub const DAYS: i32 = 7;
/// The file is some KiB; what is larger was not written by the agent.
const LARGEST: u64 = 4 << 20;

/// What the user did, day by day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// The session that was last seen; none before the first.
    #[serde(default)]
    pub session: Option<Session>,
    /// Days, on this machine's calendar.
    #[serde(default)]
    pub days: BTreeMap<Date, Day>,
}

/// A session of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its `session.id`.
    pub id: String,
    /// When it was first seen.
    pub started_unix_ms: i64,
    /// When it was last seen.
    pub seen_unix_ms: i64,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Day {
    /// Seconds in each state.
    pub states: BTreeMap<SessionState, f64>,
    /// Apps, by name.
    pub apps: BTreeMap<String, AppUsage>,
}

/// How an app was used.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct AppUsage {
    /// Seconds in front of an active user.
    pub focus_seconds: f64,
    /// How often the user switched to it.
    pub switches: u64,
    /// How often it was started.
    pub starts: u64,
}

impl Usage {
    /// What is kept. What cannot be read counts as nothing.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        match read(file) {
            Ok(usage) => usage,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(%error, "the history of use cannot be read; it begins anew");
                Self::default()
            }
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written; what was kept before stays.
    pub fn store(&self, file: &Path) -> io::Result<()> {
        write_atomically(file, &serde_json::to_vec(self)?)
    }

    /// A day, to add to. Days that are too old on `date` are forgotten.
    pub fn day(&mut self, date: Date) -> &mut Day {
        if !self.days.contains_key(&date) {
            let oldest = date.saturating_sub((DAYS - 1).days());
            self.days.retain(|day, _| *day >= oldest);
        }
        self.days.entry(date).or_default()
    }

    /// The last `days` up to `today`, together.
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

    /// A session is seen. Returns the one before, if this is another.
    pub fn see_session(&mut self, id: &str, at: Timestamp) -> Option<Session> {
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
    /// Apps by focus, the most used first.
    #[must_use]
    pub fn ranking(&self) -> Vec<(&str, AppUsage)> {
        let mut apps: Vec<_> = self.apps.iter().map(|(name, app)| (name.as_str(), *app)).collect();
        apps.sort_by(|(_, a), (_, b)| b.focus_seconds.total_cmp(&a.focus_seconds));
        apps
    }
}

fn read(file: &Path) -> io::Result<Usage> {
    if file.metadata()?.len() > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

#[cfg(test)]
mod tests;
