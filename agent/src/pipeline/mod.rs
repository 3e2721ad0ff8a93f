//! From the sources to the collector: encode, keep, send.
//!
//! [`metrics`] lets the OpenTelemetry SDK export into the queue, [`events`] puts events there; [`queue`] keeps encoded export requests on disk;
//! [`exporter`] sends them. Nothing after the queue decodes a payload, except to split one that a collector calls too
//! large.

pub mod events;
pub mod exporter;
pub mod metrics;
pub mod queue;
pub mod spans;
