//! OTLP/gRPC: one method for each signal, one message each way.
//!
//! On the wire a message is a flag (1: compressed), its length in four bytes, and itself (gRPC over HTTP/2, section
//! "Length-Prefixed-Message"). It is taken as bytes, so that fields which this program does not know are kept.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::intake::{Form, Intake, LARGEST_REQUEST, Refusal, Taken};
use crate::config::Compression;
use crate::pipeline::{Signal, codec};

/// What is before a message.
const PREFIX: usize = 5;
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("identity,gzip,zstd"));
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Answers a call.
pub(super) async fn answer(intake: &Intake, request: Request<Incoming>) -> Response<Body> {
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.grpc_method() == request.uri().path()) else {
        return Status::unimplemented("OTLP has the Export methods of metrics, traces and logs").into_http();
    };
    match export(intake, signal, request).await {
        Ok(taken) => accepted(&taken),
        Err(refusal) => {
            intake.refused(&refusal);
            refuse(&refusal)
        }
    }
}

async fn export(intake: &Intake, signal: Signal, request: Request<Incoming>) -> Result<Taken, Refusal> {
    let (parts, body) = request.into_parts();
    let body = intake.room().read(body).await?;
    let _turn = intake.turn().await;
    let message = message(&parts.headers, &body.bytes)?;
    intake.take(signal, Form::Protobuf, message).await
}

/// The one message of a call.
fn message(headers: &HeaderMap, mut body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let malformed = |what: &str| Refusal::Malformed(what.to_owned());
    if body.len() < PREFIX {
        return Err(malformed("the call has no message"));
    }
    let (compressed, length) = (body.get_u8(), body.get_u32());
    if usize::try_from(length) != Ok(body.len()) {
        return Err(malformed("the message of the call is not as long as it says"));
    }
    let encoding = headers.get(ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match compressed {
        0 => Ok(body.to_vec()),
        1 => match Compression::from_token(encoding).filter(|of| *of != Compression::None) {
            Some(of) => {
                codec::decompress(of, body, LARGEST_REQUEST).map_err(|error| Refusal::of_compressed(of, &error))
            }
            None => Err(Refusal::MediaType("grpc-encoding has to be gzip, zstd or identity".to_owned())),
        },
        _ => Err(malformed("the message of the call is neither compressed nor not")),
    }
}

fn accepted(taken: &Taken) -> Response<Body> {
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
    let code = match refusal {
        Refusal::Full | Refusal::Busy => Code::ResourceExhausted,
        Refusal::Paused | Refusal::Unavailable(_) => Code::Unavailable,
        Refusal::Slow => Code::DeadlineExceeded,
        // Not OUT_OF_RANGE, which OTLP's clients send again.
        Refusal::TooLarge | Refusal::Malformed(_) | Refusal::Path => Code::InvalidArgument,
        Refusal::MediaType(_) => Code::Unimplemented,
        Refusal::Host(_) | Refusal::Origin(_) => Code::PermissionDenied,
        Refusal::Token => Code::Unauthenticated,
    };
    let status = match refusal.retry_after() {
        Some(later) => {
            Status::with_error_details(code, refusal.to_string(), ErrorDetails::with_retry_info(Some(later)))
        }
        None => Status::new(code, refusal.to_string()),
    };
    let mut response: Response<Body> = status.into_http();
    if matches!(refusal, Refusal::MediaType(_)) {
        response.headers_mut().insert(ACCEPTED.0, ACCEPTED.1);
    }
    response
}
