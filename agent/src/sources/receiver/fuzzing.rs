//! The receiver without ports and without a queue, for random input (the crate `fuzz/`): access
//! control, and the preparation of requests.

use std::sync::Arc;

use axum::http::{Request, header};
use bytes::Bytes;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::access::Access;
use super::enrich::Enrichment;
use super::grpc::message_compression;
use super::prepare::{BodyFormat, IncomingRequest, Preparer};
use crate::config::{ReceiverSettings, RedactionSettings};
use crate::otlp::grpc_frame::PREFIX_LENGTH;
use crate::otlp::{Compression, Signal};
use crate::pipeline::queue::NewBatch;
use crate::redaction::{LazyRedactor, UserIdentity};

/// The format of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// One gRPC message with its prefix, compressed with zstd if the prefix has the compressed
    /// flag.
    Grpc,
    /// Protobuf.
    Protobuf(Compression),
    /// JSON.
    Json(Compression),
}

/// A receiver that does not listen.
#[derive(Debug)]
pub struct FuzzReceiver {
    access: Access,
    preparer: Preparer,
}

impl FuzzReceiver {
    /// Creates a receiver with these settings and the default redaction.
    #[must_use]
    pub fn new(settings: &ReceiverSettings) -> Self {
        let enrichment = Enrichment::from_attributes(vec![("host.name".to_owned(), "here".to_owned())]);
        let redactor = Arc::new(LazyRedactor::new(&RedactionSettings::default(), UserIdentity::default()));
        let preparer = Preparer::new(settings, enrichment, redactor, &SdkMeterProvider::default());
        Self { access: Access::new(settings), preparer }
    }

    /// Returns whether a request with these `Host` and `Origin` headers passes access control.
    #[must_use]
    pub fn allows(&self, host: &[u8], origin: &[u8]) -> bool {
        let request = Request::post("/v1/traces").header(header::HOST, host).header(header::ORIGIN, origin).body(());
        request.is_ok_and(|request| self.access.check_origin(&request).is_ok())
    }

    /// Returns the batches of a request while application logs are shared.
    ///
    /// # Errors
    /// The reason of the rejection.
    pub fn prepare(&self, signal: Signal, body: Body, bytes: &[u8]) -> Result<Vec<NewBatch>, String> {
        let (format, compression, offset) = match body {
            Body::Grpc => {
                let compression = message_compression(Compression::Zstd.token(), bytes);
                (BodyFormat::Protobuf, compression.map_err(|rejection| rejection.reason())?, PREFIX_LENGTH)
            }
            Body::Protobuf(compression) => (BodyFormat::Protobuf, compression, 0),
            Body::Json(compression) => (BodyFormat::Json, compression, 0),
        };
        let body = Bytes::copy_from_slice(bytes).into();
        let request = IncomingRequest { signal: Some(signal), format, compression, body, offset };
        let prepared = self.preparer.prepare(request, true).map_err(|rejection| rejection.reason())?;
        Ok(prepared.1.batches)
    }
}
