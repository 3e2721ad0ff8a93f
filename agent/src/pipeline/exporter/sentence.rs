//! Sentences about the collector's answers, for people: what is wrong, where, what to do.
//!
//! The sentences for requests without an answer are in `failure.rs`.

use tonic::Code;

use super::decision::{Decision, Outcome, decide};
use crate::otlp::Signal;

/// Describes the outcome of a request to `address`.
pub(super) fn sentence(outcome: &Outcome, signal: Signal, address: &str) -> String {
    let (text, message) = match outcome {
        Outcome::Accepted { rejected: 0, message } => {
            (format!("The collector at {address} accepted all {signal} with a warning."), message.as_str())
        }
        Outcome::Accepted { rejected, message } => (
            format!(
                "The collector at {address} rejected {rejected} of the {signal} sent to it. They are not sent again."
            ),
            message.as_str(),
        ),
        Outcome::Http { status: 401 | 407, message, .. }
        | Outcome::Grpc { code: Code::Unauthenticated, message, .. } => {
            (format!("{address} requires credentials for {signal}. Check `collector.headers`."), message.as_str())
        }
        Outcome::Http { status: 403, message, .. } | Outcome::Grpc { code: Code::PermissionDenied, message, .. } => (
            format!(
                "{address} does not allow this agent to send {signal}. Check `collector.headers` and the permissions of these credentials."
            ),
            message.as_str(),
        ),
        Outcome::Http { status: 404 | 405, .. } | Outcome::Grpc { code: Code::Unimplemented, .. } => (
            format!(
                "{address} does not accept {signal}: there is no service for them at this address. Check `collector.endpoint` and the collector's pipelines."
            ),
            "",
        ),
        Outcome::Http { status: status @ 300..=399, .. } => (
            format!(
                "{address} redirects to another address (HTTP {status}). Set `collector.endpoint` to the collector's own address."
            ),
            "",
        ),
        Outcome::Http { status: 413, .. } => (too_large(address, signal), ""),
        Outcome::Http { status: status @ (429 | 502 | 503 | 504), message, .. } => {
            (busy(address, signal, &format!("HTTP {status}")), message.as_str())
        }
        Outcome::Http { status, message, .. } => {
            (rejected(address, signal, &format!("HTTP {status}")), message.as_str())
        }
        Outcome::Grpc { code, message, .. } => match decide(outcome) {
            Decision::Split => (too_large(address, signal), ""),
            Decision::Retry { .. } => (busy(address, signal, &format!("gRPC {code:?}")), message.as_str()),
            Decision::Done | Decision::Hold | Decision::Drop => {
                (rejected(address, signal, &format!("gRPC {code:?}")), message.as_str())
            }
        },
        Outcome::NoResponse(failure) => (failure.to_string(), ""),
        Outcome::Unreadable(why) => {
            (format!("A queued request with {signal} is no longer readable ({why}). It was dropped and counted."), "")
        }
    };
    if message.is_empty() { text } else { format!("{text} It says: {message}") }
}

fn too_large(address: &str, signal: Signal) -> String {
    format!("{address} rejected a request with {signal} as too large. The agent splits it in half.")
}

fn busy(address: &str, signal: Signal, status: &str) -> String {
    format!("{address} is not accepting {signal} at the moment ({status}). They are kept and sent later.")
}

fn rejected(address: &str, signal: Signal, status: &str) -> String {
    format!("{address} rejected {signal} permanently ({status}). The request was dropped and counted.")
}
