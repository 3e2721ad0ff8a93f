//! Scenario: lines with traces and exceptions, and lines that only look like it.
//!
//! Guarantees: only unambiguous traces and exceptions are extracted.

use super::*;
use proptest::prelude::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn trace_id(text: &str) -> Option<String> {
    trace_context(text.as_bytes()).map(|context| format!("{:032x}", u128::from_be_bytes(context.trace_id)))
}

#[test]
fn traceparent_is_found_anywhere_in_text() {
    for text in [
        PARENT.to_owned(),
        format!("calling with traceparent={PARENT}"),
        format!("{{\"traceparent\":\"{PARENT}\"}}"),
        format!("a-b 00-12 [{PARENT}] done"),
        format!("{PARENT}\nsecond line"),
    ] {
        assert_eq!(trace_id(&text).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"), "{text}");
    }
    let context = trace_context(PARENT.as_bytes()).unwrap();
    assert_eq!((context.span_id, context.flags), ([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7], 1));
}

#[test]
fn traceparent_lookalike_is_ignored() {
    for text in [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "a00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "-",
        "",
    ] {
        assert_eq!(trace_id(text), None, "{text}");
    }
}

#[test]
fn exceptions_of_each_runtime_are_extracted() {
    let of = |text| exception(text).map(|found| (found.kind, found.message, found.stacktrace));
    assert_eq!(
        of("error msg Error: boom\n    at Object.<anonymous> (run.js:13:143)\n    at x"),
        Some(("Error", "boom", "Error: boom\n    at Object.<anonymous> (run.js:13:143)\n    at x"))
    );
    assert_eq!(
        of("Uncaught (in promise) TypeError: x is not a function\r\n    at f (a.js:1:2)\r\n"),
        Some(("TypeError", "x is not a function", "TypeError: x is not a function\r\n    at f (a.js:1:2)"))
    );
    assert_eq!(
        of(
            "Order failed: no route\nSystem.InvalidOperationException: Sequence contains no elements\n   at System.Linq.Enumerable.First()"
        ),
        Some((
            "System.InvalidOperationException",
            "Sequence contains no elements",
            "System.InvalidOperationException: Sequence contains no elements\n   at System.Linq.Enumerable.First()"
        ))
    );
    assert_eq!(
        of("java.lang.IllegalStateException\n\tat com.acme.Main.main(Main.java:5)"),
        Some((
            "java.lang.IllegalStateException",
            "",
            "java.lang.IllegalStateException\n\tat com.acme.Main.main(Main.java:5)"
        ))
    );
    assert_eq!(
        of("SyntaxError: one\ntwo lines\n    at parse (a.js:1:2)"),
        Some(("SyntaxError", "one\ntwo lines", "SyntaxError: one\ntwo lines\n    at parse (a.js:1:2)"))
    );
}

#[test]
fn exception_lookalike_is_ignored() {
    for text in [
        "TypeError: no stack",
        "TypeError: no frames\nat home",
        "an Error happened\n    at noon",
        "no type\n    at f (a.js:1:2)",
        "1Error: not a name\n  at x",
        "http://host/Error:8080\n  at x",
        "\n at ",
    ] {
        assert_eq!(exception(text), None, "{text}");
    }
}

proptest! {
    /// No text causes a panic, and every result is a part of the text.
    #[test]
    fn enrichment_accepts_any_text(text in "([a-zA-Z$.: \u{e4}]{0,6}|Error: |Exception|\n| at |00-[0-9a-f]{32}-[0-9a-f]{16}-01){0,12}") {
        let _ = trace_context(text.as_bytes());
        if let Some(found) = exception(&text) {
            prop_assert!(found.stacktrace.starts_with(found.kind));
            prop_assert!(text.trim_end().ends_with(found.stacktrace));
        }
    }
}
