//! Names and attributes of events: log records that the agent writes of itself, each with a name.

use super::Attribute;

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

/// Every event.
pub const EVENTS: &[EventName] = &[CONSENT_CHANGED];
