//! The path from the sources to the collector: encode, queue, send.
//!
//! [`metrics`] lets the OpenTelemetry SDK export into the queue; [`events`] and [`spans`] append
//! log records and spans of the agent itself. [`queue`] keeps encoded export requests on disk, and
//! [`exporter`] sends them.
//!
//! **Invariant:** nothing after the queue decodes a payload, except to split a request that a
//! collector rejected as too large.

pub mod events;
pub mod exporter;
pub mod metrics;
pub mod queue;
pub mod spans;
