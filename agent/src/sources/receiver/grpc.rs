//! OTLP/gRPC: one method for each signal, one message each way.
//!
//! A message is taken as bytes, without its prefix ([`grpc_frame`]), so that fields which this program does not know are
//! kept.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::gate::text;
use super::intake::{Intake, Taken};
use super::prepare::{Arrived, Form};
use super::refusal::Refusal;
use crate::otlp::grpc_frame::{self, PREFIX_LENGTH};
use crate::otlp::{Compression, Signal};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("identity,gzip,zstd"));
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Takes the message of a call.
pub(super) async fn export(intake: &Intake, request: Request<Incoming>) -> Result<Taken, Refusal> {
    let path = request.uri().path();
    let signal = Signal::ALL.into_iter().find(|signal| signal.grpc_method() == path).ok_or(Refusal::Call)?;
    let (parts, body) = request.into_parts();
    let body = intake.room().read(body).await?;
    let compression = framing(text(&parts.headers, &ENCODING), &body.bytes)?;
    let arrived = Arrived { signal: Some(signal), form: Form::Protobuf, compression, body, offset: PREFIX_LENGTH };
    Ok(intake.take(arrived).await?.1)
}

/// How the one message of a call is compressed, which follows its prefix.
pub(super) fn framing(encoding: &str, body: &[u8]) -> Result<Compression, Refusal> {
    if !grpc_frame::check(body).map_err(|error| Refusal::Malformed(error.to_string()))? {
        return Ok(Compression::None);
    }
    Compression::from_token(encoding)
        .filter(|of| *of != Compression::None)
        .ok_or_else(|| Refusal::MediaType("grpc-encoding has to be gzip, zstd or identity".to_owned()))
}

pub(super) fn accepted(taken: &Taken) -> Response<Body> {
    let message = taken.to_protobuf();
    let framed = grpc_frame::encode(false, &message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(framed).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The answer to a call that was not taken.
pub(super) fn refuse(refusal: &Refusal) -> Response<Body> {
    let (code, reason) = (refusal.grpc_code(), refusal.reason());
    let status = match refusal.retry_after() {
        Some(later) => Status::with_error_details(code, reason, ErrorDetails::with_retry_info(Some(later))),
        None => Status::new(code, reason),
    };
    let mut response: Response<Body> = status.into_http();
    if matches!(refusal, Refusal::MediaType(_)) {
        response.headers_mut().insert(ACCEPTED.0, ACCEPTED.1);
    }
    response
}
