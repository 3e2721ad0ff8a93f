//! OTLP/HTTP.
//!
//! Any path is accepted, because io.Insights uses its address exactly as configured: a path that
//! ends with `/v1/traces` is for traces, and so on. In JSON the only key of the body names the
//! signal, whatever the path is. A rejection has the format of the request (OTLP specification,
//! section "OTLP/HTTP Response").

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message;
use serde_json::json;

use super::access::{Access, header_text};
use super::cors::allow_preflight;
use super::grpc;
use super::ingest::{Accepted, Ingest};
use super::prepare::{BodyFormat, IncomingRequest};
use super::rejection::Rejection;
use crate::config::ReceiverSettings;
use crate::otlp::{Compression, Signal};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Answers the requests of all connections, over HTTP and gRPC.
#[derive(Debug)]
pub(super) struct Server {
    access: Access,
    ingest: Arc<Ingest>,
}

impl Server {
    pub(super) fn new(settings: &ReceiverSettings, ingest: Arc<Ingest>) -> Self {
        Self { access: Access::new(settings), ingest }
    }

    /// Answers a request. A page of an allowed origin can read every response, also a rejection.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let page = match self.access.check_origin(&request) {
            Ok(page) => page,
            Err(rejection) => return self.reject(request.headers(), &rejection),
        };
        let mut response = match self.access.check_token(&request, &page) {
            Ok(()) => self.answer_permitted(request).await,
            Err(rejection) => self.reject(request.headers(), &rejection),
        };
        page.allow(&mut response);
        response
    }

    async fn answer_permitted(&self, request: Request<Incoming>) -> Response<Body> {
        if is_grpc(request.headers()) {
            return match grpc::export(&self.ingest, request).await {
                Ok(accepted) => grpc::success(&accepted),
                Err(rejection) => {
                    self.ingest.count_rejection(&rejection);
                    grpc::failure(&rejection)
                }
            };
        }
        let (parts, body) = request.into_parts();
        match parts.method {
            Method::OPTIONS => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                allow_preflight(&parts.headers, &mut response);
                response
            }
            Method::POST => match self.export(parts.uri.path(), &parts.headers, body).await {
                Ok((signal, accepted)) => success(is_json(&parts.headers), signal, &accepted),
                Err(rejection) => self.reject(&parts.headers, &rejection),
            },
            _ => {
                let mut response = self.reject(&parts.headers, &Rejection::Method);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
                response
            }
        }
    }

    async fn export(&self, path: &str, headers: &HeaderMap, body: Incoming) -> Result<(Signal, Accepted), Rejection> {
        let format = if is_json(headers) { BodyFormat::Json } else { BodyFormat::Protobuf };
        if format == BodyFormat::Protobuf && !has_media_type(headers, PROTOBUF) {
            return Err(Rejection::MediaType(format!("content-type must be {PROTOBUF} or {JSON}")));
        }
        let token = match header_text(headers, &header::CONTENT_ENCODING) {
            "" => Compression::None.token(),
            token => token,
        };
        let compression = Compression::from_token(&token.to_ascii_lowercase())
            .ok_or_else(|| Rejection::MediaType("content-encoding must be gzip, zstd or identity".to_owned()))?;
        let path = path.trim_end_matches('/');
        let signal = Signal::ALL.into_iter().find(|signal| path.ends_with(signal.http_path()));
        if signal.is_none() && format == BodyFormat::Protobuf {
            return Err(Rejection::Path);
        }
        let body = self.ingest.body_budget().read(body).await?;
        self.ingest.accept(IncomingRequest { signal, format, compression, body, offset: 0 }).await
    }

    /// Counts a rejection, and returns it in the format of the request.
    fn reject(&self, headers: &HeaderMap, rejection: &Rejection) -> Response<Body> {
        self.ingest.count_rejection(rejection);
        if is_grpc(headers) {
            return grpc::failure(rejection);
        }
        let reason = rejection.reason();
        let (content_type, body) = if has_media_type(headers, PROTOBUF) {
            // Over HTTP the code of `google.rpc.Status` has no meaning; the HTTP status counts.
            let status = tonic_types::Status { code: 0, message: reason, details: Vec::new() };
            (PROTOBUF, status.encode_to_vec())
        } else if is_json(headers) {
            (JSON, json!({ "message": reason }).to_string().into_bytes())
        } else {
            ("text/plain; charset=utf-8", format!("{reason}\n").into_bytes())
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = rejection.http_status();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(delay) = rejection.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, delay.as_secs().into());
        }
        response
    }
}

/// Returns the response to an accepted request: `ExportLogsServiceResponse` and its two siblings,
/// which differ only in the JSON name of the count.
fn success(json: bool, signal: Signal, accepted: &Accepted) -> Response<Body> {
    let rejected = match signal {
        Signal::Metrics => "rejectedDataPoints",
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
    };
    let (content_type, body) = match (json, &accepted.message) {
        (true, None) => (JSON, b"{}".to_vec()),
        (true, Some(message)) => {
            let partial = json!({ rejected: accepted.rejected.to_string(), "errorMessage": message });
            (JSON, json!({ "partialSuccess": partial }).to_string().into_bytes())
        }
        (false, _) => (PROTOBUF, accepted.to_protobuf()),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Returns whether the request is gRPC with protobuf. gRPC-Web is another protocol, and not
/// supported.
fn is_grpc(headers: &HeaderMap) -> bool {
    has_media_type(headers, "application/grpc") || has_media_type(headers, "application/grpc+proto")
}

fn is_json(headers: &HeaderMap) -> bool {
    has_media_type(headers, JSON)
}

fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let essence = header_text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media_type)
}
