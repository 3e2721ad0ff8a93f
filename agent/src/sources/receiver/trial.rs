//! The receiver without ports and queue, for random input (the crate fuzz/): what is asked of a request, and what becomes of it.

use std::sync::Arc;

use axum::http::{Request, header};
use bytes::Bytes;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::enrich::Enrichment;
use super::gate::Gate;
use super::grpc::framing;
use super::prepare::{Arrived, Form, Preparer};
use crate::config::{ReceiverSettings, RedactionSettings};
use crate::otlp::grpc_frame::PREFIX_LENGTH;
use crate::otlp::{Compression, Signal};
use crate::pipeline::queue::NewBatch;
use crate::redaction::{LazyRedactor, UserIdentity};

/// How the body of a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// One message of gRPC, with its prefix, compressed with zstd if the prefix says that it is compressed.
    Grpc,
    /// Protobuf.
    Protobuf(Compression),
    /// JSON.
    Json(Compression),
}

/// A receiver that nobody can reach.
#[derive(Debug)]
pub struct Trial {
    gate: Gate,
    preparer: Preparer,
}

impl Trial {
    /// With these settings, and the usual redaction.
    #[must_use]
    pub fn new(settings: &ReceiverSettings) -> Self {
        let enrichment = Enrichment::of(vec![("host.name".to_owned(), "here".to_owned())]);
        let redactor = Arc::new(LazyRedactor::new(&RedactionSettings::default(), UserIdentity::default()));
        let preparer = Preparer::new(settings, enrichment, redactor, &SdkMeterProvider::default());
        Self { gate: Gate::new(settings), preparer }
    }

    /// Whether somebody who says this host and origin may ask.
    #[must_use]
    pub fn admits(&self, host: &[u8], origin: &[u8]) -> bool {
        let request = Request::post("/v1/traces").header(header::HOST, host).header(header::ORIGIN, origin).body(());
        request.is_ok_and(|request| self.gate.admit(&request).is_ok())
    }

    /// What would be put into the queue of a request, while the logs of applications are shared.
    ///
    /// # Errors
    /// Why it would be refused, in words.
    pub fn prepare(&self, signal: Signal, body: Body, bytes: &[u8]) -> Result<Vec<NewBatch>, String> {
        let (form, compression, offset) = match body {
            Body::Grpc => {
                let compression = framing(Compression::Zstd.token(), bytes).map_err(|refusal| refusal.reason())?;
                (Form::Protobuf, compression, PREFIX_LENGTH)
            }
            Body::Protobuf(compression) => (Form::Protobuf, compression, 0),
            Body::Json(compression) => (Form::Json, compression, 0),
        };
        let body = Bytes::copy_from_slice(bytes).into();
        let arrived = Arrived { signal: Some(signal), form, compression, body, offset };
        let prepared = self.preparer.prepare(arrived, true).map_err(|refusal| refusal.reason())?;
        Ok(prepared.1.batches)
    }
}
