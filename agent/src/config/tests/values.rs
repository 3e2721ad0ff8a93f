//! Scenario: single values of settings are parsed and displayed.

use super::*;

/// Scenario: durations in all usual units, without a unit, and out of range.
/// Guarantees: the former are read, the others rejected.
#[test]
fn period_without_unit_or_out_of_range_is_rejected() {
    for (text, milliseconds) in
        [("10s", 10_000), ("500ms", 500), ("2h 30m", 9_000_000), ("1.5s", 1_500), ("14d", 1_209_600_000), ("10ms", 10)]
    {
        assert_eq!(text.parse::<Period>().unwrap(), Period::from_millis(milliseconds), "{text}");
    }
    for wrong in ["", "10", "ten seconds", "-10s", "1mo", "9ms", "366d", "99999999999999999999s"] {
        assert!(wrong.parse::<Period>().is_err(), "{wrong}");
    }
    insta::assert_snapshot!("9ms".parse::<Period>().unwrap_err(), @"`9ms` is out of range; use a duration from `10ms` to `365d`");
    insta::assert_snapshot!("10".parse::<Period>().unwrap_err(), @"`10` is not a duration; write a number with a unit, for example `10s`, `500ms`, `2m 30s` or `14d`");
}

/// Scenario: sizes are read, displayed and read again.
/// Guarantees: the largest unit without a remainder is displayed, and reads as the same size.
#[test]
fn byte_size_displayed_reads_the_same() {
    for (text, bytes, shown) in [
        ("256 MiB", 256 << 20, "256 MiB"),
        ("1GiB", 1 << 30, "1 GiB"),
        ("1536 KiB", 1536 << 10, "1536 KiB"),
        ("7", 7, "7 B"),
        ("0", 0, "0 B"),
    ] {
        let size: ByteSize = text.parse().unwrap();
        assert_eq!((size.get(), size.to_string().as_str()), (bytes, shown), "{text}");
        assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
    }
    for wrong in ["", "1.5 GiB", "1 MB", "-1", "99999999999 GiB", "MiB"] {
        assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
    }
}

proptest::proptest! {
    /// Scenario: any duration in the valid range is displayed.
    /// Guarantees: the text reads as the same duration.
    #[test]
    fn period_displayed_reads_the_same(milliseconds in 10_u64..=365 * 24 * 3_600_000) {
        let period = Period::from_millis(milliseconds);
        proptest::prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
    }

    /// Scenario: any text is expanded.
    /// Guarantees: nothing panics, and a text without a percent sign is unchanged.
    #[test]
    fn template_accepts_any_text(text in ".{0,40}") {
        let out = Template::from(text.as_str()).expand(|_| None);
        if !text.contains('%') {
            proptest::prop_assert_eq!(out, text);
        }
    }
}

/// Scenario: templates with variables, defaults and single percent signs.
/// Guarantees: variables are replaced by their value, otherwise by their default; a single `%` is
/// kept.
#[test]
fn template_expands_variables() {
    let lookup = |name: &str| match name {
        "DEPT" => Some("Rates".to_owned()),
        "EMPTY" => Some(String::new()),
        "ProgramFiles(x86)" => Some("C:\\Programs".to_owned()),
        _ => None,
    };
    for (template, expanded) in [
        ("%DEPT%", "Rates"),
        ("desk-%DEPT%-%FLOOR?0%", "desk-Rates-0"),
        ("%MISSING%", ""),
        ("%EMPTY?none%", "none"),
        ("%ProgramFiles(x86)%\\x", "C:\\Programs\\x"),
        ("100%", "100%"),
        ("5% of %DEPT%", "5% of Rates"),
        ("%%DEPT%", "%Rates"),
        ("%DEPT?a?b%", "Rates"),
        ("%NONE?a?b%", "a?b"),
    ] {
        assert_eq!(Template::from(template).expand(lookup), expanded, "{template}");
    }
}

/// Scenario: complete and incomplete addresses, some with credentials.
/// Guarantees: only complete addresses without credentials are accepted, and errors repeat no
/// credentials.
#[test]
fn endpoint_incomplete_or_with_credentials_is_rejected() {
    assert_eq!(Endpoint::default().to_string(), "http://localhost:4317");
    assert_eq!(
        "https://collector.example.com/otlp/".parse::<Endpoint>().unwrap().to_string(),
        "https://collector.example.com/otlp"
    );
    for wrong in [
        "",
        "localhost:4317",
        "ftp://host",
        "http://",
        "https://me:secret@host",
        "me:secret@host",
        "http://h?key=secret",
    ] {
        let error = wrong.parse::<Endpoint>().unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}

/// Scenario: a secret is printed.
/// Guarantees: only a mask is printed.
#[test]
fn secret_printed_is_masked() {
    let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
    assert_eq!(format!("{secret} {secret:?}"), "******** ********");
    assert_eq!(secret.reveal(), "hunter2");
}

/// Scenario: patterns with known, unknown and missing groups.
/// Guarantees: only known groups are accepted, and `message` is required.
#[test]
fn pattern_with_unknown_or_missing_group_is_rejected() {
    assert!("^(?<time>\\S+) (?<message>.*)".parse::<Pattern>().is_ok());
    insta::assert_snapshot!("(?<message>.*".parse::<Pattern>().unwrap_err(), @"not a valid regular expression: unclosed group");
    insta::assert_snapshot!("(?<msg>.*)".parse::<Pattern>().unwrap_err(), @"the pattern has an unknown group `msg`; allowed are time, level, category, instance, thread, message");
    insta::assert_snapshot!("(?<time>.*)".parse::<Pattern>().unwrap_err(), @"the pattern has no group `message`; add one, for example `(?<message>.*)`");
}

/// Scenario: start positions in every form.
/// Guarantees: words, durations and times are accepted and displayed as written; other texts are
/// rejected.
#[test]
fn start_at_reads_word_duration_or_time() {
    let parse = |text: &str| text.parse::<StartAt>();
    assert_eq!(parse("end"), Ok(StartAt::End));
    assert_eq!(parse("beginning"), Ok(StartAt::Beginning));
    assert_eq!(parse("24h"), Ok(StartAt::Last(Period::from_secs(86_400))));
    assert_eq!(parse("2026-11-23T08:00:00Z"), Ok(StartAt::Since("2026-11-23T08:00:00Z".parse().unwrap())));
    assert!(parse("yesterday").unwrap_err().contains("not a start position"));
    for text in ["end", "beginning", "1d", "2026-11-23T08:00:00Z"] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

/// Scenario: regular expressions that are empty, invalid or too large.
/// Guarantees: each is rejected with its reason.
#[test]
fn expression_empty_invalid_or_too_large_is_rejected() {
    let error = |text: &str| text.parse::<Expression>().unwrap_err();
    assert!(error("a*").contains("empty text"));
    assert!(error("(").contains("not a valid regular expression"));
    assert!(error(r"(\w{1000}){1000}").contains("256 KiB"), "{}", error(r"(\w{1000}){1000}"));
    assert!(r"\bACC-\d{6}\b".parse::<Expression>().unwrap().regex().is_match("of ACC-123456"));
}

/// Scenario: patterns are matched against origins as browsers send them.
/// Guarantees: only the intended origins match; a pattern that cannot be an origin is rejected.
#[test]
fn origin_pattern_matches_only_intended_origins() {
    let matches = |pattern: &str, origin: &str| pattern.parse::<OriginPattern>().unwrap().matches(origin);
    for (pattern, origin) in [
        ("https://*.example.com", "https://desk.example.com"),
        ("https://*.example.com", "https://a.b.Example.com"),
        ("HTTPS://desk.example.com:443", "https://desk.example.com"),
        ("http://localhost:*", "http://localhost:3000"),
        ("http://localhost:*", "http://localhost"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("app://*", "app://desk"),
        ("null", "null"),
    ] {
        assert!(matches(pattern, origin), "{pattern} {origin}");
    }
    for (pattern, origin) in [
        ("https://*.example.com", "http://desk.example.com"),
        ("https://*.example.com", "https://desk.example.com:8443"),
        ("https://*.example.com", "https://evil.test/.example.com"),
        ("https://*.example.com", "https://evil.test:1.example.com"),
        ("https://desk.*", "null"),
        ("null", "https://desk.example.com"),
    ] {
        assert!(!matches(pattern, origin), "{pattern} {origin}");
    }
    for wrong in [
        "*",
        "desk.example.com",
        "https://desk.example.com/",
        "https://desk.example.com/app",
        "https://",
        "https://a:b",
        "://a",
    ] {
        let error = wrong.parse::<OriginPattern>().unwrap_err();
        assert!(error.contains("not a web origin") && error.contains("https://*.example.com"), "{error}");
    }
}
