//! The states of a user session.

use serde::{Deserialize, Serialize};

/// The state of a session over an interval. Every second of a session is in exactly one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// The user is active.
    Active,
    /// No input for longer than `focus.idle_after`.
    Idle,
    /// The session is locked.
    Locked,
    /// The machine sleeps.
    Suspended,
    /// The session is not displayed: another user's is, or its remote desktop is disconnected.
    Disconnected,
    /// The operating system does not report the state.
    Unknown,
}

impl SessionState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Active, Self::Idle, Self::Locked, Self::Suspended, Self::Disconnected, Self::Unknown];

    /// The name in attributes and JSON.
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
