use proptest::prelude::*;

use super::*;

fn http(status: u16) -> Decision {
    decide(&Outcome::Http { status, retry_after: Some(Duration::from_secs(7)), message: String::new() })
}

fn grpc(code: Code, retry_delay: Option<Duration>, message: &str) -> Decision {
    decide(&Outcome::Grpc { code, retry_delay, message: message.to_owned() })
}

/// Every HTTP status has the decision of the OTLP specification, or of the stated deviation.
#[test]
fn http_table() {
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

/// Every gRPC code has the decision of the OTLP specification, or of the stated deviation.
#[test]
fn grpc_table() {
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
fn partial_success_is_never_sent_again() {
    let outcome = Outcome::Accepted { rejected: 3, message: "bad".to_owned() };
    assert_eq!(decide(&outcome), Decision::Done);
}

#[test]
fn what_cannot_be_read_is_dropped() {
    assert_eq!(decide(&Outcome::Damaged("torn".to_owned())), Decision::Drop);
}

#[test]
fn no_answer_is_sent_again_and_wrong_settings_are_held() {
    let refused = Failure::Refused { address: "a:1".to_owned() };
    assert_eq!(decide(&Outcome::None(refused)), Decision::Retry { at_least: None });
    let spoken = Failure::SpeaksHttp1 { address: "a:1".to_owned() };
    assert_eq!(decide(&Outcome::None(spoken)), Decision::Hold);
}

#[test]
fn retry_after_takes_seconds_and_dates() {
    let now: jiff::Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    assert_eq!(retry_after("125", now), Some(Duration::from_secs(125)));
    assert_eq!(retry_after("Mon, 23 Nov 2026 10:01:30 GMT", now), Some(Duration::from_secs(90)));
    assert_eq!(retry_after("Mon, 23 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO), "a past date is no wait");
    for nonsense in ["", "soon", "-5", "1.5"] {
        assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
    }
}

proptest! {
    /// The wait is never shorter than what was asked for (up to an hour) and never longer by more than a minute.
    #[test]
    fn backoff_is_bounded(failures in 0u32.., asked in 0u64..10_000, random in 0.0f64..1.0) {
        let asked = Duration::from_secs(asked);
        let wait = backoff(failures, Some(asked), random);
        let obeyed = asked.min(LONGEST_ASKED);
        prop_assert!(wait >= obeyed && wait <= obeyed + BACKOFF_LONGEST);
        prop_assert!(backoff(1, None, random) <= BACKOFF_FIRST);
    }
}
