//! Names and attributes of spans.

use super::Attribute;
use super::metrics::APP_NAME;

/// Instrumentation scope of spans. Its version is the version of the agent.
pub const SCOPE_NAME: &str = "insights-agent.usage";

/// A span as exported and documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanDefinition {
    /// Span name.
    pub name: &'static str,
    /// What the span represents.
    pub description: &'static str,
    /// Attributes of the span.
    pub attributes: &'static [Attribute],
}

/// Attribute: number of spans that exceeded the limit of a platform session.
pub const SPANS_LEFT_OUT: Attribute = Attribute {
    name: "ioconnect.spans.left_out",
    description: "Number of spans of this session that were left out, because a session has at \
                  most 2,000. An integer, set only if it is not 0.",
};

/// A platform session.
pub const PLATFORM_SESSION: SpanDefinition = SpanDefinition {
    name: "platform session",
    description: "One run of the platform, from the start of its main process to its end. The root \
                  span of its own trace, sent when the run has ended.",
    attributes: &[SPANS_LEFT_OUT],
};
/// An app session.
pub const APP_SESSION: SpanDefinition = SpanDefinition {
    name: "app session",
    description: "One app instance, from start to end. A child of the platform session.",
    attributes: &[APP_NAME],
};
/// A focus period.
pub const FOCUS: SpanDefinition = SpanDefinition {
    name: "focus",
    description: "A period of at least a second during which an io.Connect app was in front of an \
                  active user. A child of the platform session.",
    attributes: &[APP_NAME],
};

/// All spans.
pub const SPANS: &[SpanDefinition] = &[PLATFORM_SESSION, APP_SESSION, FOCUS];
