//! Why a request is not accepted, and how HTTP and gRPC express it.

use std::time::Duration;

use axum::http::StatusCode;
use tonic::Code;

use super::body::MAX_BODY_BYTES;
use super::prepare::{MAX_DECODED_BYTES, MAX_REQUEST_BYTES};
use crate::otlp::Compression;

/// Retry time when the agent is busy or the queue is full or cannot be written. The client of
/// io.Insights follows a retry time only if it is shorter than its timeout of 10 s.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Retry time during a pause.
const PAUSE_RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// Maximum length of a reason in characters: it may quote the request, and gRPC sends it in a
/// header, whose size is limited.
const MAX_REASON_CHARS: usize = 500;

/// Why a request was not accepted. The text is for the developer of the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("the queue is full; try again later")]
    Full,
    #[error("the user has paused the agent; try again later")]
    Paused,
    #[error("the agent is receiving too much data; try again later")]
    Busy,
    #[error("{0}; try again later")]
    Unavailable(String),
    #[error("the request body did not arrive in time")]
    Slow,
    #[error("the request is too large: the maximum is {MAX_BODY_BYTES} bytes, or {MAX_REQUEST_BYTES} decompressed")]
    TooLarge,
    #[error("the request has too many parts: decoded, it would take more than {MAX_DECODED_BYTES} bytes of memory")]
    TooManyParts,
    #[error("not a valid OTLP request: {0}")]
    Malformed(String),
    #[error("{0}")]
    MediaType(String),
    #[error("the path of OTLP with protobuf must end with /v1/metrics, /v1/traces or /v1/logs")]
    Path,
    #[error("OTLP over HTTP requires POST")]
    Method,
    #[error("unknown method: OTLP has the Export methods of metrics, traces and logs")]
    Call,
    #[error("the host `{0}` is not this machine: use localhost or 127.0.0.1")]
    Host(String),
    #[error("web pages of {0} may not send to this agent: the setting receiver.allowed_origins does not allow them")]
    Origin(String),
    #[error("the token (receiver.token) is missing or wrong: send the header `authorization: Bearer TOKEN`")]
    Token,
}

impl Rejection {
    /// Converts an error while decompressing a body.
    pub(super) fn from_decompression(compression: Compression, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Malformed(format!("the body is not {} ({error})", compression.token())),
        }
    }

    /// Returns the text of the rejection, shortened to its maximum length.
    pub(super) fn reason(&self) -> String {
        self.to_string().chars().take(MAX_REASON_CHARS).collect()
    }

    pub(super) fn http_status(&self) -> StatusCode {
        match self {
            Self::Full | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Paused | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge | Self::TooManyParts => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Path | Self::Call => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) const fn grpc_code(&self) -> Code {
        match self {
            Self::Full | Self::Busy => Code::ResourceExhausted,
            Self::Paused | Self::Unavailable(_) => Code::Unavailable,
            Self::Slow => Code::DeadlineExceeded,
            // Not OUT_OF_RANGE: OTLP clients retry on it.
            Self::TooLarge | Self::TooManyParts | Self::Malformed(_) | Self::Path => Code::InvalidArgument,
            Self::MediaType(_) | Self::Method | Self::Call => Code::Unimplemented,
            Self::Host(_) | Self::Origin(_) => Code::PermissionDenied,
            Self::Token => Code::Unauthenticated,
        }
    }

    /// Returns when the sender may try again; none if trying again cannot succeed.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full | Self::Busy | Self::Unavailable(_) => Some(RETRY_INTERVAL),
            Self::Paused => Some(PAUSE_RETRY_INTERVAL),
            _ => None,
        }
    }

    /// Returns the name under which [`super::ReceiverStatus::refused`] counts it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Paused => "paused",
            Self::Busy => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Slow => "slow",
            Self::TooLarge | Self::TooManyParts => "too_large",
            Self::Malformed(_) => "malformed",
            Self::MediaType(_) => "media_type",
            Self::Path => "path",
            Self::Method => "method",
            Self::Call => "call",
            Self::Host(_) => "host",
            Self::Origin(_) => "origin",
            Self::Token => "token",
        }
    }
}
