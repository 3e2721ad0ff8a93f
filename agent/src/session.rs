//! The states of a user's session.

use serde::{Deserialize, Serialize};

/// What a stretch of a session was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// The user was at work.
    Active,
    /// No input for longer than the settings' `idle_after`.
    Idle,
    /// The session was locked.
    Locked,
    /// The machine slept.
    Suspended,
    /// The session was shown nowhere: another user's was, or its remote desktop was closed.
    Disconnected,
    /// The system does not tell.
    Unknown,
}

impl SessionState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Active, Self::Idle, Self::Locked, Self::Suspended, Self::Disconnected, Self::Unknown];

    /// As in attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Locked => "locked",
            Self::Suspended => "suspended",
            Self::Disconnected => "disconnected",
            Self::Unknown => "unknown",
        }
    }
}
