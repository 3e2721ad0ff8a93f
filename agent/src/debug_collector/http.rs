//! OTLP/HTTP: `POST /v1/{metrics,traces,logs}` with protobuf.
//!
//! A rejection has a reason: as `google.rpc.Status` if the request was protobuf (OTLP
//! specification, section "OTLP/HTTP Response"), otherwise as plain text.

use std::future::Future;
use std::io;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpListener;

use super::{Ingest, MAX_BODY_BYTES, MAX_REQUEST_BYTES, Request, Transport};
use crate::otlp::{Compression, Signal, compression};

const PROTOBUF: &str = "application/x-protobuf";

/// Answers requests until `stop`, then finishes those in progress.
pub(super) async fn serve(listener: TcpListener, ingest: Ingest, stop: impl Future<Output = ()> + Send + 'static) {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let ingest = ingest.clone();
        let handler = move |headers, body| async move { export(&ingest, signal, &headers, body).await };
        router = router.route(signal.http_path(), post(handler));
    }
    let router = router
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "OTLP over HTTP requires POST\n") })
        .fallback(|| async {
            let paths = Signal::ALL.map(Signal::http_path).join(", ");
            (StatusCode::NOT_FOUND, format!("unknown path: OTLP over HTTP has the paths {paths}\n"))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
        tracing::warn!("failed to serve OTLP over HTTP: {error:#}");
    }
}

async fn export(ingest: &Ingest, signal: Signal, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let result = match decode(signal, headers, body) {
        Ok(request) => ingest
            .accept(Transport::Http, request)
            .await
            .map_err(|error| Rejection { status: StatusCode::SERVICE_UNAVAILABLE, reason: error.to_string() }),
        Err(rejection) => Err(rejection),
    };
    match result {
        Ok(()) => {
            let answer = match signal {
                Signal::Metrics => ExportMetricsServiceResponse::default().encode_to_vec(),
                Signal::Traces => ExportTraceServiceResponse::default().encode_to_vec(),
                Signal::Logs => ExportLogsServiceResponse::default().encode_to_vec(),
            };
            ([(header::CONTENT_TYPE, PROTOBUF)], answer).into_response()
        }
        Err(Rejection { status, reason }) if is_protobuf(headers) => {
            // Over HTTP the code of `google.rpc.Status` has no meaning; the HTTP status counts.
            let answer = tonic_types::Status { code: 0, message: reason, details: Vec::new() };
            (status, [(header::CONTENT_TYPE, PROTOBUF)], answer.encode_to_vec()).into_response()
        }
        Err(Rejection { status, reason }) => (status, format!("{reason}\n")).into_response(),
    }
}

struct Rejection {
    status: StatusCode,
    reason: String,
}

fn decode(signal: Signal, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Request, Rejection> {
    let reject = |status, reason| Err(Rejection { status, reason });
    if !is_protobuf(headers) {
        let reason = match text(headers, &header::CONTENT_TYPE) {
            "" => format!("the content-type is missing: this collector accepts only {PROTOBUF}"),
            other => format!("this collector accepts only {PROTOBUF}, not {other}"),
        };
        return reject(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    }
    let token = match text(headers, &header::CONTENT_ENCODING) {
        "" => Compression::None.token(),
        token => token,
    };
    let Some(compression) = Compression::from_token(&token.to_ascii_lowercase()) else {
        let reason = format!("unknown content-encoding {token}: use gzip, zstd or identity");
        return reject(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    };
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return reject(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MAX_BODY_BYTES} bytes"));
        }
        Err(rejection) => return reject(rejection.status(), rejection.body_text()),
    };
    let decoded = match compression {
        Compression::None => Request::decode(signal, &body),
        Compression::Gzip | Compression::Zstd => match compression::decompress(compression, &body, MAX_REQUEST_BYTES) {
            Ok(bytes) => Request::decode(signal, &bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return reject(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is {error}"));
            }
            Err(error) => {
                return reject(StatusCode::BAD_REQUEST, format!("the body is not {}: {error}", compression.token()));
            }
        },
    };
    decoded.or_else(|error| {
        reject(StatusCode::BAD_REQUEST, format!("the body is not an OTLP request for {signal}: {error}"))
    })
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let essence = text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(PROTOBUF)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
