//! What an answer of the collector means for the batch that was sent: plain functions, no clock, no network.
//!
//! The table is that of the OTLP specification (sections "OTLP/gRPC Response", "OTLP/HTTP Response"), with deviations
//! that are stated in docs/intended-behaviour.md: answers which say that our settings are wrong, not the data, hold the
//! queue instead of dropping it; a request that is too large is halved once.

use std::time::Duration;

use http::HeaderMap;
use tonic::Code;

use super::failure::Failure;
use crate::config::Secret;

/// First backoff; doubled with every failure.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest backoff: a collector that is back is found within a minute.
const BACKOFF_LONGEST: Duration = Duration::from_mins(1);
/// Longest wait that a collector may ask for, so that a wrong clock at its side cannot silence us for days.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// What came back for a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The collector has it; `rejected` items of it were refused for good, `message` says why, or warns.
    Accepted {
        /// Items refused.
        rejected: u64,
        /// In the collector's words; empty if it said nothing.
        message: String,
    },
    /// An HTTP status other than 200 to 299.
    Http {
        /// The status code.
        status: u16,
        /// `Retry-After`, as a delay from now.
        retry_after: Option<Duration>,
        /// What the answer says.
        message: String,
    },
    /// A gRPC status other than OK.
    Grpc {
        /// The status code.
        code: Code,
        /// `google.rpc.RetryInfo` of its details.
        retry_delay: Option<Duration>,
        /// What the answer says.
        message: String,
    },
    /// There was no answer, or none of a collector.
    None(Failure),
    /// It was not sent: what the queue holds cannot be read any more.
    Damaged(String),
}

impl Outcome {
    /// Hides our own secrets in what the collector says: some repeat what they were asked with.
    pub(super) fn mask(&mut self, headers: &HeaderMap) {
        let (Self::Accepted { message, .. } | Self::Http { message, .. } | Self::Grpc { message, .. }) = self else {
            return;
        };
        let values = headers.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
        for value in values.filter(|value| !value.trim().is_empty()) {
            *message = message.replace(value, Secret::MASK);
            // A scheme stands before the secret, as in `Bearer`.
            if let Some(secret) = value.split_whitespace().last() {
                *message = message.replace(secret, Secret::MASK);
            }
        }
    }
}

/// What to do with the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Delivered: take it out of the queue.
    Done,
    /// Send it again, after backoff and not before `at_least`.
    Retry {
        /// What the collector asked for.
        at_least: Option<Duration>,
    },
    /// Our settings are wrong, not the data: keep it, say so, try again slowly.
    Hold,
    /// Too large: halve it.
    Split,
    /// Refused for good: drop it and count.
    Drop,
}

/// The retry table.
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
        Outcome::Damaged(_) => Decision::Drop,
        Outcome::None(failure) if failure.is_of_settings() => Decision::Hold,
        Outcome::None(_) => Decision::Retry { at_least: None },
    }
}

/// Whether the text of a `RESOURCE_EXHAUSTED` speaks of the message's size, as gRPC's own libraries write it:
/// "received message larger than max" (Go, Java, C++), "message length too large" (Rust).
fn is_too_large(message: &str) -> bool {
    message.contains("larger than max") || message.contains("too large")
}

/// How long to wait after the `failures`-th failure in a row (1 is the first): full jitter, `random` is from 0 to 1.
#[must_use]
pub(super) fn backoff(failures: u32, at_least: Option<Duration>, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let ceiling = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_LONGEST);
    // The wait that was asked for is obeyed, and spread beyond it: a fleet must not come back in one instant.
    at_least.unwrap_or_default().min(LONGEST_ASKED) + ceiling.mul_f64(random.clamp(0.0, 1.0))
}

/// How long to wait when the settings are wrong: half a minute to a minute.
#[must_use]
pub(super) fn hold(random: f64) -> Duration {
    BACKOFF_LONGEST.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

/// The delay of a `Retry-After` header (RFC 9110, section 10.2.3): seconds, or a date.
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
