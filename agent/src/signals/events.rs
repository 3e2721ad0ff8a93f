//! Names and attributes of events: log records with a name, which the agent itself creates.

use super::Attribute;

pub use opentelemetry_semantic_conventions::attribute::{SESSION_ID, SESSION_PREVIOUS_ID};

/// Instrumentation scope of events. Its version is the version of the agent.
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

/// An event as exported and documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventDefinition {
    /// `event_name` of the log record.
    pub name: &'static str,
    /// When the agent sends the event.
    pub description: &'static str,
    /// Attributes of the event.
    pub attributes: &'static [Attribute],
}

/// The user or a policy changed log sharing.
pub const CONSENT_CHANGED: EventDefinition = EventDefinition {
    name: "ioconnect.consent.changed",
    description: "The user or a policy changed the sharing of one kind of logs. The event has the \
                  time of the decision.",
    attributes: &[
        Attribute { name: CONSENT_KIND, description: "`platform` or `applications`." },
        Attribute { name: CONSENT_SHARED, description: "Whether logs of this kind are shared from now on. A boolean." },
        Attribute { name: CONSENT_VERSION, description: "Version of the consent text that was agreed to. An integer." },
        Attribute { name: CONSENT_BY, description: "Who decided: `user` or `policy`." },
    ],
};

/// A user session started.
pub const SESSION_START: EventDefinition = EventDefinition {
    name: "session.start",
    description: "The agent sees a user session for the first time (semantic conventions, \
                  \"Session\").",
    attributes: &[
        Attribute { name: SESSION_ID, description: "Id of the session, as in the resource." },
        Attribute { name: SESSION_PREVIOUS_ID, description: "Id of the previous session, if there was one." },
    ],
};

/// A user session ended.
pub const SESSION_END: EventDefinition = EventDefinition {
    name: "session.end",
    description: "The previous user session has ended. Sent when the next session starts; the \
                  event has the time at which the previous one was last seen.",
    attributes: &[
        Attribute {
            name: SESSION_ID,
            description: "Id of the session that ended. The resource has the id of the session \
                          that reports it.",
        },
        Attribute {
            name: SESSION_DURATION,
            description: "Seconds between the first and the last time the session was seen. A \
                          number.",
        },
    ],
};

/// All events.
pub const EVENTS: &[EventDefinition] = &[CONSENT_CHANGED, SESSION_START, SESSION_END];
