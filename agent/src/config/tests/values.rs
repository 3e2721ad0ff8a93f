use super::*;

/// A period reads every usual unit, refuses what has none, and keeps its range.
#[test]
fn period_reads_units_and_keeps_its_range() {
    for (text, milliseconds) in
        [("10s", 10_000), ("500ms", 500), ("2h 30m", 9_000_000), ("1.5s", 1_500), ("14d", 1_209_600_000), ("10ms", 10)]
    {
        assert_eq!(text.parse::<Period>().unwrap(), Period::from_millis(milliseconds), "{text}");
    }
    for wrong in ["", "10", "ten seconds", "-10s", "1mo", "9ms", "366d", "99999999999999999999s"] {
        assert!(wrong.parse::<Period>().is_err(), "{wrong}");
    }
    insta::assert_snapshot!("9ms".parse::<Period>().unwrap_err(), @"`9ms` is out of range; allowed is `10ms` to `365d`");
    insta::assert_snapshot!("10".parse::<Period>().unwrap_err(), @"`10` is not a duration; write a number with its unit, as in `10s`, `500ms`, `2m 30s` or `14d`");
}

/// What is shown of a byte size is the largest unit without a remainder, and reads as the same size again.
#[test]
fn byte_size_survives_being_shown() {
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
    /// Every period that can be read is shown in a form that reads as the same period.
    #[test]
    fn period_survives_being_shown(milliseconds in 10_u64..=365 * 24 * 3_600_000) {
        let period = Period::from_millis(milliseconds);
        proptest::prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
    }

    /// No text makes a template panic, and without a percent sign it stays as it is.
    #[test]
    fn template_takes_any_text(text in ".{0,40}") {
        let out = Template::from(text.as_str()).expand(|_| None);
        if !text.contains('%') {
            proptest::prop_assert_eq!(out, text);
        }
    }
}

/// Variables, their defaults and lone percent signs.
#[test]
fn template_puts_variables_in() {
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

/// Addresses are whole, and their errors repeat no credentials.
#[test]
fn endpoint_is_http_with_a_host_and_without_credentials() {
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

/// A secret shows in no form of output.
#[test]
fn secret_is_masked_when_printed() {
    let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
    assert_eq!(format!("{secret} {secret:?}"), "******** ********");
    assert_eq!(secret.reveal(), "hunter2");
}

/// A pattern names only groups that mean something, and always the message.
#[test]
fn pattern_has_known_groups() {
    assert!("^(?<time>\\S+) (?<message>.*)".parse::<Pattern>().is_ok());
    insta::assert_snapshot!("(?<message>.*".parse::<Pattern>().unwrap_err(), @"the pattern is not a regular expression: unclosed group");
    insta::assert_snapshot!("(?<msg>.*)".parse::<Pattern>().unwrap_err(), @"the pattern has a group `msg`; known are time, level, category, instance, thread, message");
    insta::assert_snapshot!("(?<time>.*)".parse::<Pattern>().unwrap_err(), @"the pattern needs a named group `message`, as in `(?<message>.*)`");
}

#[test]
fn a_place_to_start_at_is_a_word_a_duration_or_a_time() {
    let parse = |text: &str| text.parse::<StartAt>();
    assert_eq!(parse("end"), Ok(StartAt::End));
    assert_eq!(parse("beginning"), Ok(StartAt::Beginning));
    assert_eq!(parse("24h"), Ok(StartAt::Last(Period::from_secs(86_400))));
    assert_eq!(parse("2026-11-23T08:00:00Z"), Ok(StartAt::Since("2026-11-23T08:00:00Z".parse().unwrap())));
    assert!(parse("yesterday").unwrap_err().contains("allowed are"));
    for text in ["end", "beginning", "1d", "2026-11-23T08:00:00Z"] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

/// Expressions of the settings are bounded in size and stand for something.
#[test]
fn an_expression_is_bounded_and_stands_for_something() {
    let error = |text: &str| text.parse::<Expression>().unwrap_err();
    assert!(error("a*").contains("empty text"));
    assert!(error("(").contains("not a regular expression"));
    assert!(error(r"(\w{1000}){1000}").contains("256 KiB"), "{}", error(r"(\w{1000}){1000}"));
    assert!(r"\bACC-\d{6}\b".parse::<Expression>().unwrap().regex().is_match("of ACC-123456"));
}

/// Patterns of origins take the origins that browsers send and nothing around them; what can never be an origin is an error.
#[test]
fn origins_are_scheme_host_and_port() {
    let takes = |pattern: &str, origin: &str| pattern.parse::<OriginPattern>().unwrap().matches(origin);
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
        assert!(takes(pattern, origin), "{pattern} {origin}");
    }
    for (pattern, origin) in [
        ("https://*.example.com", "http://desk.example.com"),
        ("https://*.example.com", "https://desk.example.com:8443"),
        ("https://*.example.com", "https://evil.test/.example.com"),
        ("https://*.example.com", "https://evil.test:1.example.com"),
        ("https://desk.*", "null"),
        ("null", "https://desk.example.com"),
    ] {
        assert!(!takes(pattern, origin), "{pattern} {origin}");
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
        assert!(error.contains("no origin") && error.contains("https://*.example.com"), "{error}");
    }
}
