//! The OTLP format: everything the agent knows about requests as bytes.
//!
//! - [`Signal`]: the three kinds of requests, with their HTTP paths and gRPC methods.
//! - [`compression`]: gzip and zstd of payloads.
//! - [`schema`]: the messages and fields of OTLP as a table; it calculates the size of a decoded
//!   request.
//! - [`wire`]: reads and writes protobuf's wire format without generated types.
//! - [`from_json`], [`to_json`]: OTLP/HTTP with JSON.
//! - [`grpc_frame`]: the prefix in front of each gRPC message.
//! - [`split`]: splits a request that is too large for a collector.
//! - [`describe`]: renders a request as text for people, or as JSON lines for programs.
//!
//! **Invariant:** nothing here knows where a request comes from or where it goes. This module
//! imports no other module of the agent than [`crate::signals`].

pub mod compression;
pub mod describe;
pub(crate) mod from_json;
pub(crate) mod grpc_frame;
pub(crate) mod schema;
mod signal;
pub(crate) mod split;
pub(crate) mod to_json;
pub mod wire;

pub use compression::Compression;
pub use signal::{Signal, data_points};
