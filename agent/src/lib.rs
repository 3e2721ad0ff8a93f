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
//! # Layers
//!
//! A module imports only modules that come before it in this table: in a row above, or further left
//! in its own row. `cargo xtask lint` reads the table and the imports, so that no cycle can arise.
//!
//! | layer | modules, lowest first | reason |
//! |---|---|---|
//! | ground | [`glob`], [`time`], [`units`], [`session`], [`paths`], [`priority`], [`shutdown`] | helpers that import nothing of this agent; only `paths` knows the names of its files |
//! | format | [`signals`], [`otlp`] | what is exported, and how it looks on the wire |
//! | records | [`consent`], [`pause`], [`usage`] | one small file of the data folder each |
//! | settings | [`config`], [`program_log`], [`autostart`] | what the company and the user want |
//! | rules | [`ioconnect`], [`startup`], [`redaction`], [`resource`] | how data is found, hidden and attributed |
//! | data | [`pipeline`], [`sources`] | sources write to the pipeline, which knows none of them |
//! | reports | [`recent_load`], [`status`] | what the parts say about themselves, for people |
//! | control | [`control`] | the protocol by which other programs of the user ask a running agent |
//! | whole | [`agent`], [`doctor`], [`support_bundle`], [`debug_collector`] | put all parts together, or look at them from outside |

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
