//! OTLP/gRPC: one method for each signal, one message in each direction.
//!
//! A message is read as bytes, behind its prefix ([`grpc_frame`]), so that fields which this
//! program does not know are kept.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::access::header_text;
use super::ingest::{Accepted, Ingest};
use super::prepare::{BodyFormat, IncomingRequest};
use super::rejection::Rejection;
use crate::otlp::grpc_frame::{self, PREFIX_LENGTH};
use crate::otlp::{Compression, Signal};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const SUPPORTED_ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

/// Reads the message of a call and puts it into the queue.
pub(super) async fn export(ingest: &Ingest, request: Request<Incoming>) -> Result<Accepted, Rejection> {
    let path = request.uri().path();
    let signal = Signal::ALL.into_iter().find(|signal| signal.grpc_method() == path).ok_or(Rejection::Call)?;
    let (parts, body) = request.into_parts();
    let body = ingest.body_budget().read(body).await?;
    let compression = message_compression(header_text(&parts.headers, &GRPC_ENCODING), &body.bytes)?;
    let format = BodyFormat::Protobuf;
    let request = IncomingRequest { signal: Some(signal), format, compression, body, offset: PREFIX_LENGTH };
    Ok(ingest.accept(request).await?.1)
}

/// Checks that a body is one framed message, and returns its compression. `encoding` is the header
/// `grpc-encoding` of the call.
pub(super) fn message_compression(encoding: &str, body: &[u8]) -> Result<Compression, Rejection> {
    if !grpc_frame::check(body).map_err(|error| Rejection::Malformed(error.to_string()))? {
        return Ok(Compression::None);
    }
    Compression::from_token(encoding)
        .filter(|compression| *compression != Compression::None)
        .ok_or_else(|| Rejection::MediaType("grpc-encoding must be gzip, zstd or identity".to_owned()))
}

/// Returns the response to an accepted call.
pub(super) fn success(accepted: &Accepted) -> Response<Body> {
    let message = grpc_frame::encode(false, &accepted.to_protobuf());
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(message).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// Returns the response to a rejected call.
pub(super) fn failure(rejection: &Rejection) -> Response<Body> {
    let (code, reason) = (rejection.grpc_code(), rejection.reason());
    let status = match rejection.retry_after() {
        Some(delay) => Status::with_error_details(code, reason, ErrorDetails::with_retry_info(Some(delay))),
        None => Status::new(code, reason),
    };
    let mut response: Response<Body> = status.into_http();
    if matches!(rejection, Rejection::MediaType(_)) {
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, SUPPORTED_ENCODINGS);
    }
    response
}
