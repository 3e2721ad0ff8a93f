//! Names and attributes of spans.

use super::Attribute;
use super::metrics::APP_NAME;

/// Instrumentation scope of spans. Its version is the agent's.
pub const SCOPE_NAME: &str = "insights-agent.usage";

/// One span, as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanName {
    /// Its name.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// Spans that were left out.
pub const LEFT_OUT: Attribute = Attribute {
    name: "ioconnect.spans.left_out",
    meaning: "Integer, only there when not 0: spans of this session that were left out, because a session has at most 2,000.",
};

/// A platform session.
pub const PLATFORM_SESSION: SpanName = SpanName {
    name: "platform session",
    meaning: "A run of the platform, from the start of its main process to its end. Root of a trace of its own, sent when \
              it has ended.",
    attributes: &[LEFT_OUT],
};
/// An app session.
pub const APP_SESSION: SpanName = SpanName {
    name: "app session",
    meaning: "An instance of an app, from start to end. A child of the platform session.",
    attributes: &[APP_NAME],
};
/// A focus period.
pub const FOCUS: SpanName = SpanName {
    name: "focus",
    meaning: "An app of io.Connect in front of an active user, for at least a second. A child of the platform session.",
    attributes: &[APP_NAME],
};

/// Every span.
pub const SPANS: &[SpanName] = &[PLATFORM_SESSION, APP_SESSION, FOCUS];
