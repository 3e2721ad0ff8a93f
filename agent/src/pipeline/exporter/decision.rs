//! Decides what the outcome of a request means for the batch: pure functions, no clock, no network.
//!
//! The table is that of the OTLP specification (sections "OTLP/gRPC Response" and "OTLP/HTTP
//! Response"), with the deviations listed in docs/intended-behaviour.md: answers that mean that the
//! settings are wrong, not the data, hold the queue instead of dropping the batch; and a request
//! that is too large is split once.

use std::time::Duration;

use http::HeaderMap;
use tonic::Code;

use super::failure::Failure;
use crate::config::Secret;

/// Maximum delay after the first failure; doubled with every further failure.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// Maximum delay of all: a collector that is available again is found within a minute.
const MAX_BACKOFF: Duration = Duration::from_mins(1);
/// Maximum delay that a collector can request, so that a wrong clock on its side cannot stop
/// exports for days.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The collector accepted the request, possibly without some items (a partial success).
    Accepted {
        /// Number of items that were permanently rejected.
        rejected: u64,
        /// The reason, or a warning, from the collector; may be empty.
        message: String,
    },
    /// An HTTP status other than 200 to 299.
    Http {
        /// The status code.
        status: u16,
        /// The header `Retry-After`, as a delay from now.
        retry_after: Option<Duration>,
        /// The message in the response; may be empty.
        message: String,
    },
    /// A gRPC status other than OK.
    Grpc {
        /// The status code.
        code: Code,
        /// The delay in the `google.rpc.RetryInfo` of the status details.
        retry_delay: Option<Duration>,
        /// The message in the response; may be empty.
        message: String,
    },
    /// No collector answered.
    NoResponse(Failure),
    /// The request was not sent, because the queued payload is not readable.
    Unreadable(String),
}

impl Outcome {
    /// Masks the secrets of the request headers in the message, because some servers repeat the
    /// request.
    pub(super) fn mask(&mut self, headers: &HeaderMap) {
        let (Self::Accepted { message, .. } | Self::Http { message, .. } | Self::Grpc { message, .. }) = self else {
            return;
        };
        let values = headers.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
        for value in values.filter(|value| !value.trim().is_empty()) {
            *message = message.replace(value, Secret::MASK);
            // The secret may follow a scheme such as `Bearer`.
            if let Some(secret) = value.split_whitespace().last() {
                *message = message.replace(secret, Secret::MASK);
            }
        }
    }
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Delivered: remove it from the queue.
    Done,
    /// Send it again, after the backoff and not before `at_least`.
    Retry {
        /// The delay that the collector requested.
        at_least: Option<Duration>,
    },
    /// The settings are wrong, not the data: keep it, report the problem, and retry slowly.
    Hold,
    /// Too large: split it in half.
    Split,
    /// Permanently rejected: drop and count it.
    Drop,
}

/// Returns what to do with the batch of a request. This is the retry table.
#[must_use]
pub fn decide(outcome: &Outcome) -> Decision {
    match outcome {
        Outcome::Accepted { .. } => Decision::Done,
        Outcome::Http { status, retry_after, .. } => match status {
            429 | 502 | 503 | 504 => Decision::Retry { at_least: *retry_after },
            300..=399 | 401 | 403 | 404 | 405 | 407 => Decision::Hold,
            413 => Decision::Split,
            _ => Decision::Drop,
        },
        Outcome::Grpc { code, retry_delay, message } => match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Decision::Retry { at_least: *retry_delay },
            Code::ResourceExhausted if retry_delay.is_some() => Decision::Retry { at_least: *retry_delay },
            Code::ResourceExhausted if is_too_large(message) => Decision::Split,
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => Decision::Hold,
            Code::Ok
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Internal => Decision::Drop,
        },
        Outcome::Unreadable(_) => Decision::Drop,
        Outcome::NoResponse(failure) if failure.is_configuration_error() => Decision::Hold,
        Outcome::NoResponse(_) => Decision::Retry { at_least: None },
    }
}

/// Returns whether the message of a `RESOURCE_EXHAUSTED` is about the size of the request. gRPC
/// libraries write "received message larger than max" (Go, Java, C++) or "message length too large"
/// (Rust).
fn is_too_large(message: &str) -> bool {
    message.contains("larger than max") || message.contains("too large")
}

/// Returns the delay after a number of failures in a row (at least 1): exponential backoff with
/// full jitter. `random` is between 0 and 1.
#[must_use]
pub(super) fn backoff(failures: u32, at_least: Option<Duration>, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let ceiling = INITIAL_BACKOFF.saturating_mul(1 << doublings).min(MAX_BACKOFF);
    // The jitter is added to the requested delay: the agents of a fleet must not all return at the
    // same moment.
    at_least.unwrap_or_default().min(MAX_RETRY_AFTER) + ceiling.mul_f64(random.clamp(0.0, 1.0))
}

/// Returns the delay while the settings are wrong: 30 to 60 seconds.
#[must_use]
pub(super) fn hold_delay(random: f64) -> Duration {
    MAX_BACKOFF.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

/// Parses a `Retry-After` header (RFC 9110, section 10.2.3), which contains seconds or a date, into
/// a delay from `now`. A date in the past gives no delay.
#[must_use]
pub(super) fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
