//! OTLP/gRPC: one method for each signal, one message each way.
//!
//! On the wire a message is a flag (1: compressed), its length in four bytes, and itself (gRPC over HTTP/2, section
//! "Length-Prefixed-Message"). It is taken as bytes, so that fields which this program does not know are kept.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::gate::text;
use super::intake::{Intake, Taken};
use super::prepare::{Arrived, Form};
use super::refusal::Refusal;
use crate::otlp::{Compression, Signal};

/// What is before a message.
pub(super) const PREFIX: usize = 5;
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
    let arrived = Arrived { signal: Some(signal), form: Form::Protobuf, compression, body, offset: PREFIX };
    Ok(intake.take(arrived).await?.1)
}

/// How the one message of a call is compressed, which follows its prefix.
pub(super) fn framing(encoding: &str, mut body: &[u8]) -> Result<Compression, Refusal> {
    let malformed = |what: &str| Refusal::Malformed(what.to_owned());
    if body.len() < PREFIX {
        return Err(malformed("the call has no message"));
    }
    let (compressed, length) = (body.get_u8(), body.get_u32());
    if usize::try_from(length) != Ok(body.len()) {
        return Err(malformed("the message of the call is not as long as it says"));
    }
    match compressed {
        0 => Ok(Compression::None),
        1 => Compression::from_token(encoding)
            .filter(|of| *of != Compression::None)
            .ok_or_else(|| Refusal::MediaType("grpc-encoding has to be gzip, zstd or identity".to_owned())),
        _ => Err(malformed("the message of the call is neither compressed nor not")),
    }
}

pub(super) fn accepted(taken: &Taken) -> Response<Body> {
    let message = taken.to_protobuf();
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
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
