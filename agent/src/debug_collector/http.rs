//! OTLP over HTTP: `POST /v1/{metrics,traces,logs}` with protobuf.
//!
//! A refusal carries its reason: as `google.rpc.Status` if the request was protobuf (OTLP specification, section
//! "OTLP/HTTP Response"), else as plain text.

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

use super::{Intake, LARGEST_BODY, LARGEST_REQUEST, Request, Transport};
use crate::otlp::{Compression, Signal, compression};

const PROTOBUF: &str = "application/x-protobuf";

/// Answers until `stop`, and finishes what is under way.
pub(super) async fn serve(listener: TcpListener, intake: Intake, stop: impl Future<Output = ()> + Send + 'static) {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let intake = intake.clone();
        let handler = move |headers, body| async move { export(&intake, signal, &headers, body).await };
        router = router.route(signal.http_path(), post(handler));
    }
    let router = router
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, "OTLP over HTTP is sent with POST\n")
        })
        .fallback(|| async {
            let paths = Signal::ALL.map(Signal::http_path).join(", ");
            (StatusCode::NOT_FOUND, format!("OTLP over HTTP has the paths {paths}\n"))
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY));
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
        tracing::warn!(%error, "collector: OTLP over HTTP has ended");
    }
}

async fn export(intake: &Intake, signal: Signal, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let taken = match decode(signal, headers, body) {
        Ok(request) => intake
            .take(Transport::Http, request)
            .await
            .map_err(|error| Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: error.to_string() }),
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(()) => {
            let answer = match signal {
                Signal::Metrics => ExportMetricsServiceResponse::default().encode_to_vec(),
                Signal::Traces => ExportTraceServiceResponse::default().encode_to_vec(),
                Signal::Logs => ExportLogsServiceResponse::default().encode_to_vec(),
            };
            ([(header::CONTENT_TYPE, PROTOBUF)], answer).into_response()
        }
        Err(Refusal { status, reason }) if is_protobuf(headers) => {
            // The code of a status over HTTP means nothing: the HTTP status is what counts.
            let answer = tonic_types::Status { code: 0, message: reason, details: Vec::new() };
            (status, [(header::CONTENT_TYPE, PROTOBUF)], answer.encode_to_vec()).into_response()
        }
        Err(Refusal { status, reason }) => (status, format!("{reason}\n")).into_response(),
    }
}

struct Refusal {
    status: StatusCode,
    reason: String,
}

fn decode(signal: Signal, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Request, Refusal> {
    let refuse = |status, reason| Err(Refusal { status, reason });
    if !is_protobuf(headers) {
        let reason = match text(headers, &header::CONTENT_TYPE) {
            "" => format!("a content-type is missing: this collector takes {PROTOBUF} only"),
            other => format!("this collector takes {PROTOBUF} only, not {other}"),
        };
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    }
    let token = match text(headers, &header::CONTENT_ENCODING) {
        "" => Compression::None.token(),
        token => token,
    };
    let Some(compression) = Compression::from_token(&token.to_ascii_lowercase()) else {
        let reason = format!("content-encoding {token} is not known; known are gzip, zstd and identity");
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    };
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {LARGEST_BODY} bytes"));
        }
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let decoded = match compression {
        Compression::None => Request::decode(signal, &body),
        Compression::Gzip | Compression::Zstd => match compression::decompress(compression, &body, LARGEST_REQUEST) {
            Ok(bytes) => Request::decode(signal, &bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is {error}"));
            }
            Err(error) => {
                return refuse(StatusCode::BAD_REQUEST, format!("the body is not {}: {error}", compression.token()));
            }
        },
    };
    decoded.or_else(|error| {
        refuse(StatusCode::BAD_REQUEST, format!("the body is not an OTLP request of {signal}: {error}"))
    })
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let essence = text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(PROTOBUF)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
