//! Names and attributes of events: log records that the agent writes of itself, each with a name.

use super::Attribute;

pub use opentelemetry_semantic_conventions::attribute::{SESSION_ID, SESSION_PREVIOUS_ID};

/// Instrumentation scope of events. Its version is the agent's.
pub const SCOPE_NAME: &str = "insights-agent.events";

/// `ioconnect.consent.kind`
pub const CONSENT_KIND: &str = "ioconnect.consent.kind";
/// `ioconnect.consent.shared`
pub const CONSENT_SHARED: &str = "ioconnect.consent.shared";
/// `ioconnect.consent.version`
pub const CONSENT_VERSION: &str = "ioconnect.consent.version";
/// `ioconnect.consent.by`
pub const CONSENT_BY: &str = "ioconnect.consent.by";

/// `ioconnect.user_session.duration`
pub const SESSION_DURATION: &str = "ioconnect.user_session.duration";

/// One event, as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName {
    /// `event_name` of its log record.
    pub name: &'static str,
    /// When it is sent.
    pub meaning: &'static str,
    /// What it says.
    pub attributes: &'static [Attribute],
}

/// Somebody decided on the sharing of logs.
pub const CONSENT_CHANGED: EventName = EventName {
    name: "ioconnect.consent.changed",
    meaning: "Somebody has decided on the sharing of logs of a kind. Its time is that of the decision.",
    attributes: &[
        Attribute { name: CONSENT_KIND, meaning: "`platform` or `applications`." },
        Attribute { name: CONSENT_SHARED, meaning: "Boolean: whether logs of this kind are shared from now on." },
        Attribute { name: CONSENT_VERSION, meaning: "Integer: version of the words that were agreed to." },
        Attribute { name: CONSENT_BY, meaning: "Who decided: `user` or `policy`." },
    ],
};

/// A session of the user has begun.
pub const SESSION_START: EventName = EventName {
    name: "session.start",
    meaning: "The agent sees a session of the user for the first time (semantic conventions, \"Session\").",
    attributes: &[
        Attribute { name: SESSION_ID, meaning: "The session, as in the resource." },
        Attribute { name: SESSION_PREVIOUS_ID, meaning: "The session before, if there was one." },
    ],
};

/// A session of the user has ended.
pub const SESSION_END: EventName = EventName {
    name: "session.end",
    meaning: "The session before has ended: told when the next one begins, with the time it was last seen.",
    attributes: &[
        Attribute { name: SESSION_ID, meaning: "The session that has ended; the resource has the one that tells it." },
        Attribute {
            name: SESSION_DURATION,
            meaning: "Seconds from when it was first seen to when it was last. A number.",
        },
    ],
};

/// Every event.
pub const EVENTS: &[EventName] = &[CONSENT_CHANGED, SESSION_START, SESSION_END];
