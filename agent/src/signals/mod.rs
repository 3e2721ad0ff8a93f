//! Tables of every name that the agent exports: metrics, attributes of log records, events, spans.
//!
//! docs/signals.md is generated from these tables. Names come from OpenTelemetry's semantic
//! conventions where one exists. Other names start with `ioconnect.`, or with `insights.agent.` if
//! they are about the agent itself.

#[cfg(test)]
mod docs;
pub mod events;
pub mod logs;
pub mod metrics;
pub mod spans;

/// An attribute as exported and documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Attribute key.
    pub name: &'static str,
    /// Meaning and possible values.
    pub description: &'static str,
}
