//! OTLP/HTTP.
//!
//! Any path is taken, for io.Insights uses its address exactly as it is configured: what ends with `/v1/traces` is of
//! traces, and so on; in JSON the body's only key says what it is, whatever the path is. Refusals are in the form of the
//! request (OTLP specification, section "OTLP/HTTP Response").

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message;
use serde_json::json;

use super::gate::{Gate, preflight, text};
use super::grpc;
use super::intake::{Intake, Taken};
use super::prepare::{Arrived, Form};
use super::refusal::Refusal;
use crate::config::ReceiverSettings;
use crate::otlp::{Compression, Signal};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Answers requests.
#[derive(Debug)]
pub(super) struct Server {
    gate: Gate,
    intake: Arc<Intake>,
}

impl Server {
    pub(super) fn new(settings: &ReceiverSettings, intake: Arc<Intake>) -> Self {
        Self { gate: Gate::new(settings), intake }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let asked = match self.gate.admit(&request) {
            Ok(asked) => asked,
            Err(refusal) => return self.refuse(request.headers(), &refusal),
        };
        let mut response = match self.gate.check_token(&request, &asked) {
            Ok(()) => self.admitted(request).await,
            Err(refusal) => self.refuse(request.headers(), &refusal),
        };
        asked.allow(&mut response);
        response
    }

    async fn admitted(&self, request: Request<Incoming>) -> Response<Body> {
        if is_grpc(request.headers()) {
            return match grpc::export(&self.intake, request).await {
                Ok(taken) => grpc::accepted(&taken),
                Err(refusal) => {
                    self.intake.refused(&refusal);
                    grpc::refuse(&refusal)
                }
            };
        }
        let (parts, body) = request.into_parts();
        match parts.method {
            Method::OPTIONS => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                preflight(&parts.headers, &mut response);
                response
            }
            Method::POST => match self.export(parts.uri.path(), &parts.headers, body).await {
                Ok((signal, taken)) => accepted(is_json(&parts.headers), signal, &taken),
                Err(refusal) => self.refuse(&parts.headers, &refusal),
            },
            _ => {
                let mut response = self.refuse(&parts.headers, &Refusal::Method);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
                response
            }
        }
    }

    async fn export(&self, path: &str, headers: &HeaderMap, body: Incoming) -> Result<(Signal, Taken), Refusal> {
        let form = if is_json(headers) { Form::Json } else { Form::Protobuf };
        if form == Form::Protobuf && !is(headers, PROTOBUF) {
            return Err(Refusal::MediaType(format!("content-type has to be {PROTOBUF} or {JSON}")));
        }
        let token = match text(headers, &header::CONTENT_ENCODING) {
            "" => Compression::None.token(),
            token => token,
        };
        let compression = Compression::from_token(&token.to_ascii_lowercase())
            .ok_or_else(|| Refusal::MediaType("content-encoding has to be gzip, zstd or identity".to_owned()))?;
        let path = path.trim_end_matches('/');
        let signal = Signal::ALL.into_iter().find(|signal| path.ends_with(signal.http_path()));
        if signal.is_none() && form == Form::Protobuf {
            return Err(Refusal::Path);
        }
        let body = self.intake.room().read(body).await?;
        self.intake.take(Arrived { signal, form, compression, body, offset: 0 }).await
    }

    /// Counts a refusal; returns it in the form of the request.
    fn refuse(&self, headers: &HeaderMap, refusal: &Refusal) -> Response<Body> {
        self.intake.refused(refusal);
        if is_grpc(headers) {
            return grpc::refuse(refusal);
        }
        let reason = refusal.reason();
        let (kind, body) = if is(headers, PROTOBUF) {
            // The code of a status over HTTP means nothing: the HTTP status is what counts.
            let status = tonic_types::Status { code: 0, message: reason, details: Vec::new() };
            (PROTOBUF, status.encode_to_vec())
        } else if is_json(headers) {
            (JSON, json!({ "message": reason }).to_string().into_bytes())
        } else {
            ("text/plain; charset=utf-8", format!("{reason}\n").into_bytes())
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = refusal.http_status();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(later) = refusal.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, later.as_secs().into());
        }
        response
    }
}

/// `ExportXServiceResponse`: all three are alike, a count and a text in field 1.
fn accepted(json: bool, signal: Signal, taken: &Taken) -> Response<Body> {
    let rejected = match signal {
        Signal::Metrics => "rejectedDataPoints",
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
    };
    let (kind, body) = match (json, &taken.message) {
        (true, None) => (JSON, b"{}".to_vec()),
        (true, Some(message)) => {
            let partial = json!({ rejected: taken.rejected.to_string(), "errorMessage": message });
            (JSON, json!({ "partialSuccess": partial }).to_string().into_bytes())
        }
        (false, _) => (PROTOBUF, taken.to_protobuf()),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Not gRPC-Web, which is another protocol, nor another encoding than protobuf.
fn is_grpc(headers: &HeaderMap) -> bool {
    is(headers, "application/grpc") || is(headers, "application/grpc+proto")
}

fn is_json(headers: &HeaderMap) -> bool {
    is(headers, JSON)
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let essence = text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(kind)
}
