//! Who agreed to the sharing of logs, to what, and when.
//!
//! Invariants: nothing of a log file is read before its kind is shared; a file that is missing, damaged or of a newer
//! version means "not shared". The record is `consent.json` in the data folder, written whole and renamed into place.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::paths::write_atomically;

/// Version of the words that the user agreed to. A new version asks again.
pub const CONSENT_VERSION: u32 = 1;

/// Kinds of logs, each agreed to by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// What the io.Connect platform writes of itself.
    Platform,
    /// What the applications write.
    Applications,
}

impl LogKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Platform, Self::Applications];

    /// As written in text and in the queue's file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Applications => "applications",
        }
    }

    /// The kind of a name, if it is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for LogKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A decision on one kind of logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether logs of this kind are shared.
    pub shared: bool,
    /// When it was decided, RFC 3339.
    pub at: jiff::Timestamp,
    /// Version of the words that were agreed to: [`CONSENT_VERSION`].
    pub version: u32,
    /// Who decided.
    #[serde(default)]
    pub by: Decider,
    /// Whether the event of this decision is in the queue, or has been.
    #[serde(default)]
    pub announced: bool,
}

/// Who decided on sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decider {
    /// The person at the desk.
    #[default]
    User,
    /// Their organisation.
    Policy,
}

impl Decider {
    /// As written in text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Policy => "policy",
        }
    }
}

/// What the user has decided. The default is: nothing is shared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Consent {
    /// On the platform's logs.
    pub platform: Option<Decision>,
    /// On the applications' logs.
    pub applications: Option<Decision>,
    /// Whether the user has been asked, and has answered or turned the question down.
    #[serde(default)]
    pub asked: bool,
}

impl Consent {
    /// Whether logs of this kind may be read.
    #[must_use]
    pub fn shares(&self, kind: LogKind) -> bool {
        self.decision(kind).is_some_and(|decision| decision.shared && decision.version == CONSENT_VERSION)
    }

    /// The decision on a kind, if there was one.
    #[must_use]
    pub fn decision(&self, kind: LogKind) -> Option<&Decision> {
        match kind {
            LogKind::Platform => self.platform.as_ref(),
            LogKind::Applications => self.applications.as_ref(),
        }
    }

    /// Writes down the user's decision on some kinds.
    pub fn decide(&mut self, kinds: &[LogKind], shared: bool, at: jiff::Timestamp) {
        for kind in kinds {
            self.set(*kind, shared, at, Decider::User);
        }
    }

    /// Writes down what the organisation has decided on each kind; what it has given back is undecided. True if anything
    /// changed.
    pub fn obey(&mut self, policy: impl Fn(LogKind) -> Option<bool>, at: jiff::Timestamp) -> bool {
        let before = self.clone();
        for kind in LogKind::ALL {
            let decided = self.decision(kind).filter(|decision| decision.by == Decider::Policy);
            match (policy(kind), decided) {
                (Some(shared), Some(decided)) if decided.shared == shared && decided.version == CONSENT_VERSION => {}
                (Some(shared), _) => self.set(kind, shared, at, Decider::Policy),
                (None, Some(_)) => *self.of_mut(kind) = None,
                (None, None) => {}
            }
        }
        *self != before
    }

    fn set(&mut self, kind: LogKind, shared: bool, at: jiff::Timestamp, by: Decider) {
        *self.of_mut(kind) = Some(Decision { shared, at, version: CONSENT_VERSION, by, announced: false });
    }

    /// Takes note that the event of a decision is in the queue. False if it was known, or there is none.
    pub fn announced(&mut self, kind: LogKind) -> bool {
        self.of_mut(kind).as_mut().is_some_and(|decision| !std::mem::replace(&mut decision.announced, true))
    }

    fn of_mut(&mut self, kind: LogKind) -> &mut Option<Decision> {
        match kind {
            LogKind::Platform => &mut self.platform,
            LogKind::Applications => &mut self.applications,
        }
    }

    /// The record on disk; whatever cannot be understood counts as "not shared".
    #[must_use]
    pub fn load(file: &Path) -> Self {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(file = %file.display(), %error, "the consent record is damaged: logs are not shared until it is given again");
                Self::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the consent record cannot be read: logs are not shared");
                Self::default()
            }
        }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the file cannot be written; the old one is then still whole.
    pub fn store(&self, file: &Path) -> io::Result<()> {
        write_atomically(file, &serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
mod tests;
