//! Why a request is not taken, in the words of each protocol.

use std::time::Duration;

use axum::http::StatusCode;
use tonic::Code;

use super::body::LARGEST_BODY;
use super::prepare::{LARGEST_DECODED, LARGEST_REQUEST};
use crate::otlp::Compression;

/// When whoever was refused because the queue is full, or cannot be written, may come again. What io.Insights' client is
/// told counts for it only if it is shorter than its timeout of 10 s.
const SOON: Duration = Duration::from_secs(5);
/// The same during a pause.
const AFTER_PAUSE: Duration = Duration::from_mins(1);
/// Longest text of a refusal, in characters: it may quote what was sent, and the header of gRPC's has limits.
const LONGEST: usize = 500;

/// Why a request was not taken; in words, for whoever sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the queue is full; send it again later")]
    Full,
    #[error("the user has paused the agent; send it again later")]
    Paused,
    #[error("too much is sent to the agent at this moment; send it again later")]
    Busy,
    #[error("{0}; send it again later")]
    Unavailable(String),
    #[error("the request took too long to come")]
    Slow,
    #[error("a request may have {LARGEST_BODY} bytes, and {LARGEST_REQUEST} when decompressed")]
    TooLarge,
    #[error("the request has so many parts that it would take more than {LARGEST_DECODED} bytes of memory")]
    TooManyParts,
    #[error("this is no OTLP request: {0}")]
    Malformed(String),
    #[error("{0}")]
    MediaType(String),
    #[error("OTLP with protobuf goes to a path that ends with /v1/metrics, /v1/traces or /v1/logs")]
    Path,
    #[error("OTLP over HTTP is sent with POST")]
    Method,
    #[error("OTLP has the Export methods of metrics, traces and logs")]
    Call,
    #[error("`{0}` is not a name of this machine: use localhost or 127.0.0.1")]
    Host(String),
    #[error("pages of {0} may not send to this agent; its setting receiver.allowed_origins says who may")]
    Origin(String),
    #[error("the agent wants its token (receiver.token): send `authorization: Bearer` and the token")]
    Token,
}

impl Refusal {
    /// In words, shortened.
    pub(super) fn reason(&self) -> String {
        self.to_string().chars().take(LONGEST).collect()
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
            // Not OUT_OF_RANGE, which OTLP's clients send again.
            Self::TooLarge | Self::TooManyParts | Self::Malformed(_) | Self::Path => Code::InvalidArgument,
            Self::MediaType(_) | Self::Method | Self::Call => Code::Unimplemented,
            Self::Host(_) | Self::Origin(_) => Code::PermissionDenied,
            Self::Token => Code::Unauthenticated,
        }
    }

    /// When it may be sent again, if it may.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full | Self::Busy | Self::Unavailable(_) => Some(SOON),
            Self::Paused => Some(AFTER_PAUSE),
            _ => None,
        }
    }

    /// As in [`super::ReceiverStatus::refused`].
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

    /// What went wrong while a body was decompressed.
    pub(super) fn of_compressed(compression: Compression, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Malformed(format!("its body is not {} ({error})", compression.token())),
        }
    }
}
