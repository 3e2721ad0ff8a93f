//! One request to the collector, over gRPC or HTTP.
//!
//! Both ride on one HTTP client, so that proxies, certificates and faults are the same for both. Payloads go out as
//! they lie in the queue: a gRPC message is its five bytes of prefix (compressed flag, length) and the payload
//! (gRPC over HTTP/2, section "Length-Prefixed-Message"); tonic reads the answer.

use std::path::Path;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use tonic::codec::{CompressionEncoding, Streaming};
use tonic::{Code, Status};
use tonic_prost::ProstDecoder;
use tonic_types::StatusExt;

use super::decision::{Outcome, retry_after};
use super::failure::Failure;
use crate::config::{CollectorSettings, Compression, Protocol};
use crate::pipeline::queue::Batch;
use crate::pipeline::{Signal, codec};

/// Largest answer that is read, as the OTLP specification demands a limit.
const LARGEST_ANSWER: usize = 4 << 20;
/// Longest text of a collector that is kept.
const LONGEST_MESSAGE: usize = 500;
/// A dead connection is noticed by HTTP/2 pings after this time, and closed this much later.
const PING: Duration = Duration::from_secs(20);
/// Largest payload that is decompressed when the collector wants none compressed.
const LARGEST_PAYLOAD: usize = 64 << 20;

/// All three services answer with the same message: `partial_success` with a count and a text.
type Answer = ExportLogsServiceResponse;

/// Chooses ring for all of TLS. Without it no HTTP client can be made, not even one that never uses TLS.
pub fn choose_cryptography() {
    // Fails only if a provider has been chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for one collector.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: CollectorSettings,
    headers: HeaderMap,
}

/// Why there is no client for these settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file with certificates.
    #[error("collector.certificate: {file} {problem}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate of this machine, or its key.
    #[error("collector.client_certificate: {0}")]
    ClientCertificate(String),
    /// A header.
    #[error("collector.headers: `{0}` is not a header that HTTP can carry")]
    Header(String),
    /// The HTTP client itself.
    #[error("the HTTP client cannot be made: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client for these settings; nothing is connected yet.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: &CollectorSettings) -> Result<Self, ClientError> {
        choose_cryptography();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("insights-agent/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout.get())
            .tcp_keepalive(PING);
        builder = match settings.protocol {
            Protocol::Grpc => builder
                .http2_prior_knowledge()
                .http2_keep_alive_interval(PING)
                .http2_keep_alive_timeout(settings.timeout.get()),
            Protocol::HttpProtobuf => builder.http1_only(),
        };
        if let Some(file) = &settings.certificate {
            let problem = |problem: String| ClientError::Certificate { file: file.display().to_string(), problem };
            let pem = std::fs::read(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| problem(format!("is not a PEM file with certificates: {error}")))?;
            if certificates.is_empty() {
                return Err(problem(
                    "holds no certificate (a PEM file has lines `-----BEGIN CERTIFICATE-----`)".to_owned(),
                ));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(identity) = identity(settings)? {
            builder = builder.identity(identity);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let wrong = || ClientError::Header(name.clone());
            let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.reveal()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(Self { http: builder.build()?, settings: settings.clone(), headers })
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        let url = self.settings.endpoint.url();
        let host = url.host_str().unwrap_or_default();
        url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Sends a batch once.
    pub async fn send(&self, batch: &Batch) -> Outcome {
        let (compression, payload) = match self.wire_form(batch) {
            Ok(form) => form,
            Err(error) => return Outcome::Damaged(error.to_string()),
        };
        let sent = match self.settings.protocol {
            Protocol::Grpc => self.send_grpc(batch.signal, compression, &payload).await,
            Protocol::HttpProtobuf => self.send_http(batch.signal, compression, payload).await,
        };
        sent.unwrap_or_else(Outcome::None)
    }

    /// A batch as the collector wants it. It already is, unless the setting has changed since, or is `none`.
    fn wire_form(&self, batch: &Batch) -> std::io::Result<(Compression, Bytes)> {
        let wanted = self.settings.compression;
        if batch.compression == wanted {
            return Ok((wanted, batch.payload.clone()));
        }
        let changed = codec::decompress(batch.compression, &batch.payload, LARGEST_PAYLOAD)
            .and_then(|plain| codec::compress(wanted, &plain));
        changed.map(|bytes| (wanted, bytes.into()))
    }

    async fn send_http(&self, signal: Signal, compression: Compression, payload: Bytes) -> Result<Outcome, Failure> {
        let endpoint = self.settings.endpoint.url().as_str().trim_end_matches('/');
        let mut request = self
            .http
            .post(format!("{endpoint}{}", signal.http_path()))
            .headers(self.headers.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(payload);
        if compression != Compression::None {
            request = request.header(header::CONTENT_ENCODING, compression.token());
        }
        let mut response = request.send().await.map_err(|error| self.failure(&error))?;
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
            return Ok(accepted(Answer::decode(body.freeze()).unwrap_or_default()));
        }
        Ok(Outcome::Http { status: status.as_u16(), retry_after, message: error_text(&content_type, &body) })
    }

    async fn send_grpc(&self, signal: Signal, compression: Compression, payload: &[u8]) -> Result<Outcome, Failure> {
        let mut message = BytesMut::with_capacity(payload.len() + 5);
        message.put_u8(u8::from(compression != Compression::None));
        message.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        message.put_slice(payload);

        let endpoint = self.settings.endpoint.url().as_str().trim_end_matches('/');
        let mut request = self
            .http
            .post(format!("{endpoint}{}", signal.grpc_method()))
            .headers(self.headers.clone())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header("grpc-timeout", format!("{}m", self.settings.timeout.get().as_millis().min(99_999_999)))
            .body(message.freeze());
        if compression != Compression::None {
            request = request.header("grpc-encoding", compression.token());
        }
        let response = request.send().await.map_err(|error| self.failure(&error))?;
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

/// The certificate by which the collector knows this machine.
fn identity(settings: &CollectorSettings) -> Result<Option<reqwest::Identity>, ClientError> {
    let wrong = ClientError::ClientCertificate;
    let read =
        |file: &Path| std::fs::read(file).map_err(|error| wrong(format!("{} cannot be read: {error}", file.display())));
    let Some(file) = &settings.client_certificate else {
        return match &settings.client_key {
            Some(_) => {
                Err(wrong("collector.client_key is set, and the certificate that it belongs to is not".to_owned()))
            }
            None => Ok(None),
        };
    };
    let mut pem = read(file)?;
    if let Some(key) = &settings.client_key {
        pem.push(b'\n');
        pem.extend(read(key)?);
    }
    let what =
        "holds no certificate with its private key in PEM; the key can be in a file of its own (collector.client_key)";
    reqwest::Identity::from_pem(&pem).map(Some).map_err(|error| wrong(format!("{} {what}: {error}", file.display())))
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
