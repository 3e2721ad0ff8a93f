//! The consent record: which logs are shared, who decided, and when.
//!
//! **Format:** `consent.json` in the data folder, replaced atomically.
//!
//! **Invariant:** the log source reads nothing of a log file before its kind is shared, by the user
//! or by a policy. Only a preview that the user opens reads it earlier. A record that is
//! missing, damaged or from a newer version means "not shared".

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::paths::write_atomically;

/// Version of the consent text that the user agrees to. A new version asks again.
pub const CONSENT_VERSION: u32 = 1;

/// Kinds of logs; each is shared separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// Log files of the io.Connect platform.
    Platform,
    /// Log files of io.Connect applications.
    Applications,
}

impl LogKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Platform, Self::Applications];

    /// The name in texts, in JSON and in the queue file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Applications => "applications",
        }
    }

    /// Returns the kind with this name, if there is one.
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

/// A decision on one kind of logs, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether logs of this kind are shared.
    pub shared: bool,
    /// When the decision was made; RFC 3339 in the file.
    pub at: jiff::Timestamp,
    /// Version of the consent text: [`CONSENT_VERSION`] at that time.
    pub version: u32,
    /// Who decided.
    #[serde(default)]
    pub by: Decider,
    /// Whether the event of this decision has been queued.
    #[serde(default)]
    pub announced: bool,
}

/// Who decided whether logs are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decider {
    /// The person at the desk.
    #[default]
    User,
    /// The organisation's policy.
    Policy,
}

impl Decider {
    /// The name in events and texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Policy => "policy",
        }
    }
}

/// The decisions on all kinds of logs. By default nothing is shared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Consent {
    /// On logs of the platform.
    pub platform: Option<Decision>,
    /// On logs of applications.
    pub applications: Option<Decision>,
    /// Whether the user has answered or dismissed the first question.
    #[serde(default)]
    pub asked: bool,
}

impl Consent {
    /// Returns whether logs of this kind may be read.
    #[must_use]
    pub fn shares(&self, kind: LogKind) -> bool {
        self.decision(kind).is_some_and(|decision| decision.shared && decision.version == CONSENT_VERSION)
    }

    /// Returns the decision on a kind, if there is one.
    #[must_use]
    pub fn decision(&self, kind: LogKind) -> Option<&Decision> {
        match kind {
            LogKind::Platform => self.platform.as_ref(),
            LogKind::Applications => self.applications.as_ref(),
        }
    }

    /// Records the user's decision on some kinds.
    pub fn decide(&mut self, kinds: &[LogKind], shared: bool, at: jiff::Timestamp) {
        for kind in kinds {
            self.set(*kind, shared, at, Decider::User);
        }
    }

    /// Applies the organisation's policy to each kind. A decision of a policy that no longer
    /// decides is removed. Returns whether anything changed.
    pub fn apply_policy(&mut self, policy: impl Fn(LogKind) -> Option<bool>, at: jiff::Timestamp) -> bool {
        let before = self.clone();
        for kind in LogKind::ALL {
            let decided = self.decision(kind).filter(|decision| decision.by == Decider::Policy);
            match (policy(kind), decided) {
                (Some(shared), Some(decided)) if decided.shared == shared && decided.version == CONSENT_VERSION => {}
                (Some(shared), _) => self.set(kind, shared, at, Decider::Policy),
                (None, Some(_)) => *self.slot(kind) = None,
                (None, None) => {}
            }
        }
        *self != before
    }

    fn set(&mut self, kind: LogKind, shared: bool, at: jiff::Timestamp, by: Decider) {
        *self.slot(kind) = Some(Decision { shared, at, version: CONSENT_VERSION, by, announced: false });
    }

    /// Records that the event of a decision is queued. Returns `false` if that was known, or there
    /// is no decision.
    pub fn mark_announced(&mut self, kind: LogKind) -> bool {
        self.slot(kind).as_mut().is_some_and(|decision| !std::mem::replace(&mut decision.announced, true))
    }

    fn slot(&mut self, kind: LogKind) -> &mut Option<Decision> {
        match kind {
            LogKind::Platform => &mut self.platform,
            LogKind::Applications => &mut self.applications,
        }
    }

    /// Loads the record. Anything that cannot be understood counts as "not shared".
    #[must_use]
    pub fn load(file: &Path) -> Self {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(
                    file = %file.display(),
                    "failed to parse the consent record; logs are not shared until the user decides again: {error:#}"
                );
                Self::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(file = %file.display(), "failed to read the consent record; logs are not shared: {error:#}");
                Self::default()
            }
        }
    }

    /// Saves the record.
    ///
    /// # Errors
    /// When the file cannot be written; the old record is then unchanged.
    pub fn store(&self, file: &Path) -> io::Result<()> {
        write_atomically(file, &serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
mod tests;
