//! Every name that the agent gives to data, in tables: metrics, attributes of log records, events, spans.
//!
//! docs/signals.md is generated from these tables. Names come from OpenTelemetry's semantic conventions where one
//! exists; what has none begins with `ioconnect.`, and what is about the agent itself with `insights.agent.`.

#[cfg(test)]
mod docs;
pub mod events;
pub mod logs;
pub mod metrics;
pub mod spans;

/// One attribute, as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its key.
    pub name: &'static str,
    /// What it says, and with which values.
    pub meaning: &'static str,
}
