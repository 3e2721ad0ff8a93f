//! Sends one request to the collector, over gRPC or HTTP.
//!
//! Both protocols use the same HTTP client, so that proxies, certificates and errors are handled
//! the same way. Payloads are sent as they are stored in the queue, over gRPC with the prefix of
//! [`grpc_frame`]; tonic reads the response.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use parking_lot::Mutex;
use prost::Message;
use tonic::codec::{CompressionEncoding, Streaming};
use tonic::{Code, Status};
use tonic_prost::ProstDecoder;
use tonic_types::StatusExt;

use super::connection::{Connection, HttpVersion};
use super::credentials::Credentials;
use super::decision::{Outcome, retry_after};
use super::error::ClientError;
use super::failure::{self, Failure};
use crate::config::{CollectorSettings, Protocol};
use crate::otlp::{Compression, Signal, compression, grpc_frame, to_json};
use crate::pipeline::queue::Batch;

/// Maximum size of a response; the OTLP specification requires a limit.
const MAX_RESPONSE_BYTES: usize = 4 << 20;
/// Maximum attempts per request: after a rejected token, one more with a new token.
const MAX_TOKEN_ATTEMPTS: usize = 2;
/// Maximum length of a collector's message that is kept.
const MAX_MESSAGE_CHARS: usize = 500;
/// Maximum decompressed size of a payload that must be converted to another format.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// The response of all three services: the messages differ in name only, and have the same fields
/// and numbers (`partial_success` with a count and a text).
type ExportResponse = ExportLogsServiceResponse;

/// A client for one destination.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    settings: Arc<CollectorSettings>,
    credentials: Credentials,
    /// Whether the endpoint is used without appending the path of the signal.
    has_exact_url: bool,
    /// Why this client must not send anything.
    forbidden: Option<Failure>,
    /// Seconds by which the collector's clock is ahead of ours, according to its last response.
    clock_skew: Arc<Mutex<Option<i64>>>,
}

impl Client {
    /// Creates a client from the common settings, without those of a single signal. No connection
    /// is opened yet.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: &CollectorSettings) -> Result<Self, ClientError> {
        let settings = Arc::new(settings.clone());
        let connection = Connection::new(Arc::clone(&settings), HttpVersion::ByProtocol)?;
        let credentials = Credentials::new(&settings)?;
        let endpoint = &settings.endpoint;
        let is_unencrypted = endpoint.url().scheme() == "http" && !endpoint.is_loopback() && !settings.allow_plain_http;
        let forbidden = is_unencrypted.then(|| Failure::PlainHttp { address: failure::address(endpoint) });
        Ok(Self { connection, settings, credentials, has_exact_url: false, forbidden, clock_skew: Arc::default() })
    }

    /// Makes the client use its endpoint without appending a path.
    pub(super) fn with_exact_url(self) -> Self {
        Self { has_exact_url: true, ..self }
    }

    #[cfg(test)]
    pub(super) fn settings(&self) -> &CollectorSettings {
        &self.settings
    }

    /// Returns host and port of the collector, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        failure::address(&self.settings.endpoint)
    }

    /// Returns the seconds by which the collector's clock is ahead of this machine's; none if the
    /// collector does not report its time.
    #[must_use]
    pub fn clock_skew(&self) -> Option<i64> {
        *self.clock_skew.lock()
    }

    fn record_clock_skew(&self, headers: &HeaderMap) {
        let Ok(date) = jiff::fmt::rfc2822::parse(text_header(headers, &header::DATE)) else { return };
        let skew = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
        *self.clock_skew.lock() = Some(skew);
    }

    /// Sends a batch. If the collector rejects the OAuth 2.0 token, fetches a new token and tries
    /// once more.
    pub async fn send(&self, batch: &Batch) -> Outcome {
        if let Some(forbidden) = &self.forbidden {
            return Outcome::NoResponse(forbidden.clone());
        }
        let (compression, payload) = match self.encode(batch) {
            Ok(encoded) => encoded,
            Err(error) => return Outcome::Unreadable(error.to_string()),
        };
        let mut outcome = Outcome::NoResponse(Failure::Closed { address: self.address() });
        for _ in 0..MAX_TOKEN_ATTEMPTS {
            let headers = match self.credentials.headers().await {
                Ok(headers) => headers,
                Err(failure) => return Outcome::NoResponse(failure),
            };
            outcome = self.attempt(batch.signal, compression, payload.clone(), headers.clone()).await;
            outcome.mask(&headers);
            let is_unauthorized = matches!(
                outcome,
                Outcome::Http { status: 401, .. } | Outcome::Grpc { code: Code::Unauthenticated, .. }
            );
            if !is_unauthorized || !self.credentials.discard_rejected(&headers).await {
                break;
            }
        }
        if matches!(outcome, Outcome::NoResponse(_)) {
            self.connection.renew();
        }
        outcome
    }

    async fn attempt(&self, signal: Signal, compression: Compression, payload: Bytes, headers: HeaderMap) -> Outcome {
        let result = match self.settings.protocol {
            Protocol::Grpc => self.send_grpc(signal, compression, &payload, headers).await,
            Protocol::HttpProtobuf | Protocol::HttpJson => self.send_http(signal, compression, payload, headers).await,
        };
        result.unwrap_or_else(Outcome::NoResponse)
    }

    fn url(&self, path: &str) -> String {
        let endpoint = self.settings.endpoint.url().as_str();
        if self.has_exact_url && self.settings.protocol != Protocol::Grpc {
            return endpoint.to_owned();
        }
        format!("{}{path}", endpoint.trim_end_matches('/'))
    }

    /// Returns the payload in the configured format. It is stored in that format already, unless
    /// the format is JSON, the compression is `none`, or the settings changed after it was queued.
    fn encode(&self, batch: &Batch) -> std::io::Result<(Compression, Bytes)> {
        let (wanted, json) = (self.settings.compression, self.settings.protocol == Protocol::HttpJson);
        if batch.compression == wanted && !json {
            return Ok((wanted, batch.payload.clone()));
        }
        let mut plain = compression::decompress(batch.compression, &batch.payload, MAX_DECOMPRESSED_BYTES)?;
        if json {
            plain = to_json::request(batch.signal, &plain)?;
        }
        Ok((wanted, compression::compress(wanted, &plain)?.into()))
    }

    async fn send_http(
        &self,
        signal: Signal,
        compression: Compression,
        payload: Bytes,
        headers: HeaderMap,
    ) -> Result<Outcome, Failure> {
        let json = self.settings.protocol == Protocol::HttpJson;
        let mut request = self
            .connection
            .client()
            .post(self.url(signal.http_path()))
            .headers(headers)
            .header(header::CONTENT_TYPE, if json { "application/json" } else { "application/x-protobuf" })
            .body(payload);
        if compression != Compression::None {
            request = request.header(header::CONTENT_ENCODING, compression.token());
        }
        let mut response = request.send().await.map_err(|error| self.failure(&error))?;
        self.record_clock_skew(response.headers());
        let status = response.status();
        let content_type = text_header(response.headers(), &header::CONTENT_TYPE).to_ascii_lowercase();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(retry_after_now);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))? {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            if content_type.starts_with("text/html") {
                return Err(Failure::NotACollector { address: self.address() });
            }
            if json {
                let (rejected, message) = to_json::partial_success(&body);
                return Ok(Outcome::Accepted { rejected, message: shortened(&message) });
            }
            return Ok(accepted(ExportResponse::decode(body.freeze()).unwrap_or_default()));
        }
        Ok(Outcome::Http { status: status.as_u16(), retry_after, message: error_text(&content_type, &body) })
    }

    async fn send_grpc(
        &self,
        signal: Signal,
        compression: Compression,
        payload: &[u8],
        headers: HeaderMap,
    ) -> Result<Outcome, Failure> {
        let message = grpc_frame::encode(compression != Compression::None, payload);
        let mut request = self
            .connection
            .client()
            .post(self.url(signal.grpc_method()))
            .headers(headers)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header("grpc-timeout", format!("{}m", self.settings.timeout.get().as_millis().min(99_999_999)))
            .body(message);
        if compression != Compression::None {
            request = request.header("grpc-encoding", compression.token());
        }
        let response = request.send().await.map_err(|error| self.failure(&error))?;
        self.record_clock_skew(response.headers());
        let status = response.status();
        if let Some(answer) = Status::from_header_map(response.headers())
            && answer.code() != Code::Ok
        {
            return Ok(grpc_error(&answer));
        }
        if !text_header(response.headers(), &header::CONTENT_TYPE).starts_with("application/grpc") {
            return Ok(match status.as_u16() {
                // Proxies in between answer with a plain HTTP status.
                code @ (401 | 403 | 407 | 429 | 502 | 503 | 504) => {
                    Outcome::Http { status: code, retry_after: None, message: String::new() }
                }
                _ => return Err(Failure::SpeaksHttp1 { address: self.address() }),
            });
        }
        // Many servers compress the response like the request.
        let encoding = match text_header(response.headers(), &HeaderName::from_static("grpc-encoding")) {
            "gzip" => Some(CompressionEncoding::Gzip),
            "zstd" => Some(CompressionEncoding::Zstd),
            _ => None,
        };
        let body = http::Response::<reqwest::Body>::from(response).into_body();
        let mut stream: Streaming<ExportResponse> =
            Streaming::new_response(ProstDecoder::default(), body, status, encoding, Some(MAX_RESPONSE_BYTES));
        let mut answer = None;
        loop {
            match stream.message().await {
                Ok(Some(message)) => answer = Some(message),
                Ok(None) => return Ok(accepted(answer.unwrap_or_default())),
                Err(status) => {
                    return match std::error::Error::source(&status) {
                        Some(source) => Err(self.failure(source)),
                        None => Ok(grpc_error(&status)),
                    };
                }
            }
        }
    }

    fn failure(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let host = self.settings.endpoint.url().host_str().unwrap_or_default();
        Failure::from_error(error, host, &self.address(), self.settings.protocol == Protocol::Grpc)
    }
}

/// Returns the outcome of an accepted request.
fn accepted(response: ExportResponse) -> Outcome {
    let partial = response.partial_success.unwrap_or_default();
    Outcome::Accepted {
        rejected: partial.rejected_log_records.try_into().unwrap_or_default(),
        message: shortened(&partial.error_message),
    }
}

/// Returns the outcome of a request with a gRPC status other than OK.
fn grpc_error(status: &Status) -> Outcome {
    let retry_delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Outcome::Grpc { code: status.code(), retry_delay, message: shortened(status.message()) }
}

/// Returns the message of an error response: from a `google.rpc.Status`, which the OTLP
/// specification prescribes, or from plain text.
fn error_text(content_type: &str, body: &[u8]) -> String {
    if content_type.starts_with("application/x-protobuf")
        && let Ok(status) = tonic_types::Status::decode(body)
    {
        return shortened(&status.message);
    }
    if content_type.starts_with("text/html") { String::new() } else { shortened(&String::from_utf8_lossy(body)) }
}

/// Removes control characters and limits the length of a message.
fn shortened(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect()
}

fn text_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn retry_after_now(value: &str) -> Option<Duration> {
    retry_after(value, jiff::Timestamp::now())
}
