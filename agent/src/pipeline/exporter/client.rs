//! One request to the collector, over gRPC or HTTP.
//!
//! Both ride on one HTTP client, so that proxies, certificates and faults are the same for both. Payloads go out as
//! they lie in the queue, over gRPC behind the prefix of [`grpc_frame`]; tonic reads the answer.

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

use super::connection::{Connection, Speaks};
use super::credentials::Credentials;
use super::decision::{Outcome, retry_after};
use super::error::ClientError;
use super::failure::{self, Failure};
use crate::config::{CollectorSettings, Protocol};
use crate::otlp::{Compression, Signal, compression, grpc_frame, to_json};
use crate::pipeline::queue::Batch;

/// Largest answer that is read, as the OTLP specification demands a limit.
const LARGEST_ANSWER: usize = 4 << 20;
/// A token that is not taken is fetched anew once.
const MOST_TOKENS: usize = 2;
/// Longest text of a collector that is kept.
const LONGEST_MESSAGE: usize = 500;
/// Largest payload that is decompressed when the collector wants it in another form.
const LARGEST_PAYLOAD: usize = 64 << 20;

/// All three services answer with the same message: `partial_success` with a count and a text.
type Answer = ExportLogsServiceResponse;

/// A client for one destination.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    settings: Arc<CollectorSettings>,
    credentials: Credentials,
    /// Whether the address is that of one signal, to which nothing is added.
    whole_address: bool,
    /// Why nothing is sent.
    refused: Option<Failure>,
    /// By how many seconds the collector's clock is ahead of ours, as its last answer said.
    skew: Arc<Mutex<Option<i64>>>,
}

impl Client {
    /// A client for these settings, but for what is different for a signal; nothing is connected yet.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: &CollectorSettings) -> Result<Self, ClientError> {
        let settings = Arc::new(settings.clone());
        let connection = Connection::new(Arc::clone(&settings), Speaks::Otlp)?;
        let credentials = Credentials::new(&settings)?;
        let endpoint = &settings.endpoint;
        let in_clear = endpoint.url().scheme() == "http" && !endpoint.is_loopback() && !settings.allow_plain_http;
        let refused = in_clear.then(|| Failure::PlainHttp { address: failure::address(endpoint) });
        Ok(Self { connection, settings, credentials, whole_address: false, refused, skew: Arc::default() })
    }

    /// The same, with an address to which no path is added.
    pub(super) fn with_whole_address(self) -> Self {
        Self { whole_address: true, ..self }
    }

    #[cfg(test)]
    pub(super) fn settings(&self) -> &CollectorSettings {
        &self.settings
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        failure::address(&self.settings.endpoint)
    }

    /// By how many seconds the collector's clock is ahead of this machine's; none if it does not say what time it is.
    #[must_use]
    pub fn clock_skew(&self) -> Option<i64> {
        *self.skew.lock()
    }

    fn look_at_clock(&self, headers: &HeaderMap) {
        let Ok(date) = jiff::fmt::rfc2822::parse(text_header(headers, &header::DATE)) else { return };
        let skew = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
        *self.skew.lock() = Some(skew);
    }

    /// Sends a batch once; once more if a token was not good any more.
    pub async fn send(&self, batch: &Batch) -> Outcome {
        if let Some(refused) = &self.refused {
            return Outcome::None(refused.clone());
        }
        let (compression, payload) = match self.wire_form(batch) {
            Ok(form) => form,
            Err(error) => return Outcome::Damaged(error.to_string()),
        };
        let mut outcome = Outcome::None(Failure::Closed { address: self.address() });
        for _ in 0..MOST_TOKENS {
            let headers = match self.credentials.headers().await {
                Ok(headers) => headers,
                Err(failure) => return Outcome::None(failure),
            };
            outcome = self.attempt(batch.signal, compression, payload.clone(), headers.clone()).await;
            outcome.mask(&headers);
            let is_refused = matches!(
                outcome,
                Outcome::Http { status: 401, .. } | Outcome::Grpc { code: Code::Unauthenticated, .. }
            );
            if !is_refused || !self.credentials.refused(&headers).await {
                break;
            }
        }
        if matches!(outcome, Outcome::None(_)) {
            self.connection.renew();
        }
        outcome
    }

    async fn attempt(&self, signal: Signal, compression: Compression, payload: Bytes, headers: HeaderMap) -> Outcome {
        let sent = match self.settings.protocol {
            Protocol::Grpc => self.send_grpc(signal, compression, &payload, headers).await,
            Protocol::HttpProtobuf | Protocol::HttpJson => self.send_http(signal, compression, payload, headers).await,
        };
        sent.unwrap_or_else(Outcome::None)
    }

    fn url(&self, path: &str) -> String {
        let endpoint = self.settings.endpoint.url().as_str();
        if self.whole_address && self.settings.protocol != Protocol::Grpc {
            return endpoint.to_owned();
        }
        format!("{}{path}", endpoint.trim_end_matches('/'))
    }

    /// A batch as the collector wants it. It already is, unless that is JSON, the setting has changed since, or is `none`.
    fn wire_form(&self, batch: &Batch) -> std::io::Result<(Compression, Bytes)> {
        let (wanted, json) = (self.settings.compression, self.settings.protocol == Protocol::HttpJson);
        if batch.compression == wanted && !json {
            return Ok((wanted, batch.payload.clone()));
        }
        let mut plain = compression::decompress(batch.compression, &batch.payload, LARGEST_PAYLOAD)?;
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
        self.look_at_clock(response.headers());
        let status = response.status();
        let content_type = text_header(response.headers(), &header::CONTENT_TYPE).to_ascii_lowercase();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(retry_after_now);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
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
            return Ok(accepted(Answer::decode(body.freeze()).unwrap_or_default()));
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
        self.look_at_clock(response.headers());
        let status = response.status();
        if let Some(answer) = Status::from_header_map(response.headers())
            && answer.code() != Code::Ok
        {
            return Ok(refused(&answer));
        }
        if !text_header(response.headers(), &header::CONTENT_TYPE).starts_with("application/grpc") {
            return Ok(match status.as_u16() {
                // Proxies on the way answer like this, in HTTP's words.
                code @ (401 | 403 | 407 | 429 | 502 | 503 | 504) => {
                    Outcome::Http { status: code, retry_after: None, message: String::new() }
                }
                _ => return Err(Failure::SpeaksHttp1 { address: self.address() }),
            });
        }
        // Servers like to answer in the request's compression.
        let encoding = match text_header(response.headers(), &HeaderName::from_static("grpc-encoding")) {
            "gzip" => Some(CompressionEncoding::Gzip),
            "zstd" => Some(CompressionEncoding::Zstd),
            _ => None,
        };
        let body = http::Response::<reqwest::Body>::from(response).into_body();
        let mut stream: Streaming<Answer> =
            Streaming::new_response(ProstDecoder::default(), body, status, encoding, Some(LARGEST_ANSWER));
        let mut answer = None;
        loop {
            match stream.message().await {
                Ok(Some(message)) => answer = Some(message),
                Ok(None) => return Ok(accepted(answer.unwrap_or_default())),
                Err(status) => {
                    return match std::error::Error::source(&status) {
                        Some(source) => Err(self.failure(source)),
                        None => Ok(refused(&status)),
                    };
                }
            }
        }
    }

    fn failure(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let host = self.settings.endpoint.url().host_str().unwrap_or_default();
        Failure::of(error, host, &self.address(), self.settings.protocol == Protocol::Grpc)
    }
}

fn accepted(answer: Answer) -> Outcome {
    let partial = answer.partial_success.unwrap_or_default();
    Outcome::Accepted {
        rejected: partial.rejected_log_records.try_into().unwrap_or_default(),
        message: shortened(&partial.error_message),
    }
}

fn refused(status: &Status) -> Outcome {
    let retry_delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Outcome::Grpc { code: status.code(), retry_delay, message: shortened(status.message()) }
}

/// The text of a refusal: a `google.rpc.Status`, as the OTLP specification wants it, or plain text.
fn error_text(content_type: &str, body: &[u8]) -> String {
    if content_type.starts_with("application/x-protobuf")
        && let Ok(status) = tonic_types::Status::decode(body)
    {
        return shortened(&status.message);
    }
    if content_type.starts_with("text/html") { String::new() } else { shortened(&String::from_utf8_lossy(body)) }
}

fn shortened(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

fn text_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn retry_after_now(value: &str) -> Option<Duration> {
    retry_after(value, jiff::Timestamp::now())
}
