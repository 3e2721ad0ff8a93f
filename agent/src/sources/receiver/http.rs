//! Who may ask, and OTLP/HTTP.
//!
//! Any path is taken, for io.Insights uses its address exactly as it is configured: what ends with `/v1/traces` is of
//! traces, and so on; of other paths, in JSON, the body's only key says what it is. Refusals are in the form of the request
//! (OTLP specification, section "OTLP/HTTP Response").
//!
//! A web page may ask only if its origin is allowed, and nobody may under another name than this machine's: a page whose
//! name was bound to 127.0.0.1 would otherwise be of the same origin (DNS rebinding).

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message;
use ring::digest::{Digest, SHA256, digest};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::grpc;
use super::intake::{Form, Intake, LARGEST_REQUEST, Refusal, Taken};
use crate::config::{Compression, ReceiverSettings};
use crate::connect::glob_matches;
use crate::pipeline::{Signal, codec};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// How long a browser may remember the answer to its first question, in seconds: as long as Chromium does at most.
const REMEMBERED: &str = "7200";
/// How a browser asks whether a page of another network may come here (WICG, Private Network Access), and its answer.
const PRIVATE_NETWORK: (HeaderName, HeaderName) = (
    HeaderName::from_static("access-control-request-private-network"),
    HeaderName::from_static("access-control-allow-private-network"),
);

/// Lets requests in, or not.
#[derive(Debug)]
pub(super) struct Gate {
    origins: Vec<String>,
    /// The digest of what programs have to say: two of the same length take the same time to compare.
    authorization: Option<Digest>,
    intake: Arc<Intake>,
}

/// A request's signal as its body says it.
#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "resourceMetrics")]
    metrics: Option<IgnoredAny>,
    #[serde(rename = "resourceSpans")]
    traces: Option<IgnoredAny>,
    #[serde(rename = "resourceLogs")]
    logs: Option<IgnoredAny>,
}

impl Gate {
    pub(super) fn new(settings: &ReceiverSettings, intake: Arc<Intake>) -> Self {
        let token = settings.token.as_ref();
        let authorization = token.map(|token| digest(&SHA256, format!("Bearer {}", token.reveal()).as_bytes()));
        Self { origins: settings.allowed_origins.clone(), authorization, intake }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let private = request.headers().contains_key(PRIVATE_NETWORK.0);
        let mut response = match self.refusal(&request, origin.as_ref()) {
            Some(refusal) => {
                self.intake.refused(&refusal);
                return refuse(request.headers(), &refusal);
            }
            None => self.admitted(request).await,
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            if private {
                headers.insert(PRIVATE_NETWORK.1, HeaderValue::from_static("true"));
            }
        }
        response
    }

    /// Why it may not ask at all.
    fn refusal<B>(&self, request: &Request<B>, origin: Option<&HeaderValue>) -> Option<Refusal> {
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.unwrap_or_else(|| text(request.headers(), &header::HOST));
        if !is_this_machine(host) {
            return Some(Refusal::Host(host.to_owned()));
        }
        let Some(origin) = origin else {
            let said = text(request.headers(), &header::AUTHORIZATION);
            let is_known = |known: &Digest| digest(&SHA256, said.as_bytes()).as_ref() == known.as_ref();
            return self.authorization.as_ref().is_some_and(|known| !is_known(known)).then_some(Refusal::Token);
        };
        let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let is_allowed = self.origins.iter().any(|allowed| glob_matches(allowed, &origin));
        (!is_allowed).then_some(Refusal::Origin(origin))
    }

    async fn admitted(&self, request: Request<Incoming>) -> Response<Body> {
        if is_grpc(request.headers()) {
            return grpc::answer(&self.intake, request).await;
        }
        match *request.method() {
            Method::OPTIONS => preflight(request.headers()),
            Method::POST => {
                let (parts, body) = request.into_parts();
                match self.export(parts.uri.path(), &parts.headers, body).await {
                    Ok((signal, taken)) => accepted(is_json(&parts.headers), signal, &taken),
                    Err(refusal) => {
                        self.intake.refused(&refusal);
                        refuse(&parts.headers, &refusal)
                    }
                }
            }
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "OTLP over HTTP is sent with POST\n");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
                response
            }
        }
    }

    async fn export<B>(&self, path: &str, headers: &HeaderMap, body: B) -> Result<(Signal, Taken), Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let json = is_json(headers);
        if !json && !is(headers, PROTOBUF) {
            return Err(Refusal::MediaType(format!("content-type has to be {PROTOBUF} or {JSON}")));
        }
        let token = match text(headers, &header::CONTENT_ENCODING) {
            "" => Compression::None.token(),
            token => token,
        };
        let compression = Compression::from_token(&token.to_ascii_lowercase())
            .ok_or_else(|| Refusal::MediaType("content-encoding has to be gzip, zstd or identity".to_owned()))?;
        let path_signal =
            Signal::ALL.into_iter().find(|signal| path.trim_end_matches('/').ends_with(signal.http_path()));
        if path_signal.is_none() && !json {
            return Err(Refusal::Path);
        }
        let body = self.intake.room().read(body).await?;
        let _turn = self.intake.turn().await;
        let plain = match compression {
            Compression::None => body.bytes.to_vec(),
            of => {
                let plain = codec::decompress(of, &body.bytes, LARGEST_REQUEST);
                plain.map_err(|error| Refusal::of_compressed(of, &error))?
            }
        };
        drop(body);
        let signal = match path_signal {
            Some(signal) => signal,
            None => signal_of(&plain)?,
        };
        let form = if json { Form::Json } else { Form::Protobuf };
        Ok((signal, self.intake.take(signal, form, plain).await?))
    }
}

fn refuse(headers: &HeaderMap, refusal: &Refusal) -> Response<Body> {
    if is_grpc(headers) {
        return grpc::refuse(refusal);
    }
    let reason = refusal.to_string();
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

/// What a browser asks before a page of an allowed origin may send: it may, with the headers that it wants.
fn preflight(headers: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    out.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or_else(|| HeaderValue::from_static("content-type")),
    );
    out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED));
    response
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

fn signal_of(json: &[u8]) -> Result<Signal, Refusal> {
    let keys: Keys = serde_json::from_slice(json).map_err(|error| Refusal::Malformed(error.to_string()))?;
    match keys {
        Keys { metrics: Some(_), .. } => Ok(Signal::Metrics),
        Keys { traces: Some(_), .. } => Ok(Signal::Traces),
        Keys { logs: Some(_), .. } => Ok(Signal::Logs),
        _ => Err(Refusal::Malformed(
            "the body has none of the keys resourceMetrics, resourceSpans, resourceLogs".to_owned(),
        )),
    }
}

/// Whether a `Host` names this machine as only itself does.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || ["127.0.0.1", "::1"].contains(&name)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    text(headers, &header::CONTENT_TYPE).starts_with("application/grpc")
}

fn is_json(headers: &HeaderMap) -> bool {
    is(headers, JSON)
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let essence = text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(kind)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
