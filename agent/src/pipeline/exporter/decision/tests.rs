//! Scenario: every answer of a collector, and failures without an answer, are turned into
//! decisions.

use proptest::prelude::*;

use super::*;

fn http(status: u16) -> Decision {
    decide(&Outcome::Http { status, retry_after: Some(Duration::from_secs(7)), message: String::new() })
}

fn grpc(code: Code, retry_delay: Option<Duration>, message: &str) -> Decision {
    decide(&Outcome::Grpc { code, retry_delay, message: message.to_owned() })
}

/// Guarantees: every HTTP status has the decision of the OTLP specification, or of a listed
/// deviation.
#[test]
fn http_status_follows_retry_table() {
    for status in 300..600 {
        let expected = match status {
            429 | 502 | 503 | 504 => Decision::Retry { at_least: Some(Duration::from_secs(7)) },
            401 | 403 | 404 | 405 | 407 | 300..=399 => Decision::Hold,
            413 => Decision::Split,
            _ => Decision::Drop,
        };
        assert_eq!(http(status), expected, "{status}");
    }
}

/// Guarantees: every gRPC code has the decision of the OTLP specification, or of a listed
/// deviation.
#[test]
fn grpc_code_follows_retry_table() {
    let retryable = [1, 4, 10, 11, 14, 15];
    let settings = [7, 12, 16];
    for number in 1..=16 {
        let code = Code::from_i32(number);
        let delay = Some(Duration::from_secs(3));
        let expected = if retryable.contains(&number) {
            Decision::Retry { at_least: None }
        } else if settings.contains(&number) {
            Decision::Hold
        } else {
            Decision::Drop
        };
        assert_eq!(grpc(code, None, ""), expected, "{code:?}");
        if retryable.contains(&number) || code == Code::ResourceExhausted {
            assert_eq!(grpc(code, delay, ""), Decision::Retry { at_least: delay }, "{code:?} with RetryInfo");
        }
    }
    let too_large = "grpc: received message larger than max (5000000 vs. 4194304)";
    assert_eq!(grpc(Code::ResourceExhausted, None, too_large), Decision::Split);
}

#[test]
fn partial_success_is_not_retried() {
    let outcome = Outcome::Accepted { rejected: 3, message: "bad".to_owned() };
    assert_eq!(decide(&outcome), Decision::Done);
}

#[test]
fn unreadable_payload_is_dropped() {
    assert_eq!(decide(&Outcome::Unreadable("torn".to_owned())), Decision::Drop);
}

#[test]
fn failure_retries_or_holds_by_cause() {
    let refused = Failure::ConnectionRefused { address: "a:1".to_owned() };
    assert_eq!(decide(&Outcome::NoResponse(refused)), Decision::Retry { at_least: None });
    let wrong_port = Failure::SpeaksHttp1 { address: "a:1".to_owned() };
    assert_eq!(decide(&Outcome::NoResponse(wrong_port)), Decision::Hold);
}

#[test]
fn retry_after_parses_seconds_and_dates() {
    let now: jiff::Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    assert_eq!(retry_after("125", now), Some(Duration::from_secs(125)));
    assert_eq!(retry_after("Mon, 23 Nov 2026 10:01:30 GMT", now), Some(Duration::from_secs(90)));
    assert_eq!(retry_after("Mon, 23 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO), "a past date gives no delay");
    for nonsense in ["", "soon", "-5", "1.5"] {
        assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
    }
}

proptest! {
    /// Guarantees: the delay is at least the requested one (up to an hour), and at most a minute
    /// longer.
    #[test]
    fn backoff_stays_within_bounds(failures in 0u32.., requested in 0u64..10_000, random in 0.0f64..1.0) {
        let requested = Duration::from_secs(requested);
        let wait = backoff(failures, Some(requested), random);
        let obeyed = requested.min(MAX_RETRY_AFTER);
        prop_assert!(wait >= obeyed && wait <= obeyed + MAX_BACKOFF);
        prop_assert!(backoff(1, None, random) <= INITIAL_BACKOFF);
    }
}
