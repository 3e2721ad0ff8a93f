//! Insights Agent: desktop observability for io.Connect.
//!
//! Data flows one way, from the sources through one durable hand-off to the company's collector:
//!
//! ```text
//! sources::host       ─┐ OpenTelemetry SDK, encoded by opentelemetry-otlp ─┐
//! sources::processes  ─┤                                                   │
//! sources::focus      ─┘                                                   ├─► pipeline::queue ─► pipeline::exporter ─► collector
//! sources::logs        ── redaction ── records and file positions, ────────┤        (SQLite)         gRPC | HTTP
//! sources::receiver    ── consent, redaction, attributes ──────────────────┘
//! ```
//!
//! Log records and the positions of their files are one transaction.
//!
//! What everybody may know and what knows nobody: [`config`], [`connect`], [`consent`], [`resource`], [`signals`],
//! [`status`], [`redaction`]. [`sources`] and [`pipeline`] know those. [`agent::Agent`] wires them. [`control`] lets other programs of
//! the same user ask the running agent. [`doctor`] looks at everything from outside. [`collector`] is a small receiver for trying things out and for tests.

pub mod agent;
pub mod autostart;
pub mod config;
pub mod consent;
pub mod control;
pub mod debug_collector;
pub mod doctor;
pub mod glob;
pub mod ioconnect;
pub mod otlp;
pub mod paths;
pub mod pause;
pub mod pipeline;
pub mod priority;
pub mod program_log;
pub mod recent_load;
pub mod redaction;
pub mod resource;
pub mod session;
pub mod shutdown;
pub mod signals;
pub mod sources;
pub mod startup;
pub mod status;
pub mod support_bundle;
pub mod time;
pub mod units;
pub mod usage;
