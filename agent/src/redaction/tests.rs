//! Scenario: every rule on the texts that it redacts and the texts that it keeps.
//!
//! Guarantees: each example is redacted exactly as written here. docs/privacy.md is generated from
//! these examples.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Examples for one rule: texts with their redacted form, and texts that stay unchanged.
struct Examples {
    rule: &'static str,
    redacted: &'static [(&'static str, &'static str)],
    unchanged: &'static [&'static str],
}

const EXAMPLES: &[Examples] = &[
    Examples {
        rule: "credentials",
        redacted: &[
            ("Authorization: Bearer abc.def-123", "Authorization: [credential]"),
            ("authorization: 'Basic dXNlcjpwYXNz'", "authorization: '[credential]'"),
            (
                r#"{"headers":{"Authorization":"Bearer abcdef123456"},"x":1}"#,
                r#"{"headers":{"Authorization":"[credential]"},"x":1}"#,
            ),
            ("Proxy-Authorization: Digest username=\"u\", response=\"6629\"", "Proxy-Authorization: [credential]"),
            ("Set-Cookie: sid=31d4d96e407aad42; Path=/; HttpOnly", "Set-Cookie: [credential]"),
            ("login with bearer 0123456789abcdef failed", "login with bearer [credential] failed"),
            ("password=hunter2 user=x", "password=[credential] user=x"),
            (
                "Server=db;User Id=app;Password=s3cr3t!;Encrypt=true",
                "Server=db;User Id=app;Password=[credential];Encrypt=true",
            ),
            (
                r#"{"access_token":"abc\"def","expires_in":3600}"#,
                r#"{"access_token":"[credential]","expires_in":3600}"#,
            ),
            (
                r#"body: "{\"client_secret\":\"abc\",\"id\":1}""#,
                r#"body: "{\"client_secret\":\"[credential]\",\"id\":1}""#,
            ),
            ("{ apiKey: 'k-1', region: 'EMEA' }", "{ apiKey: '[credential]', region: 'EMEA' }"),
            ("GET https://host/x?token=abc&page=2", "GET https://host/x?token=[credential]&page=2"),
            ("https://host/blob?sv=2024&sig=aBc%3D&se=1", "https://host/blob?sv=2024&sig=[credential]&se=1"),
            ("https://joe:pa55@host:8080/path", "https://[credential]@host:8080/path"),
            ("<Password>abc</Password>", "<Password>[credential]</Password>"),
            ("started with --api-key abc123 --verbose", "started with --api-key [credential] --verbose"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl expired", "jwt [credential] expired"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key [credential] used"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----",
                "-----BEGIN RSA PRIVATE KEY-----[credential]-----END RSA PRIVATE KEY-----",
            ),
        ],
        unchanged: &[
            "token: null",
            "cancellation token received",
            "the password was changed",
            "42 tokens left",
            "https://host:8080/path?page=2",
            "basic settings loaded",
            "-----BEGIN CERTIFICATE-----",
            "secretary=Jane",
        ],
    },
    Examples {
        rule: "email",
        redacted: &[
            ("mail to jane.doe@example.com sent", "mail to [email] sent"),
            ("<jane@mail.example.co.uk>", "<[email]>"),
            ("?user=jane%40example.com&x=1", "?user=[email]&x=1"),
            ("j\u{fc}rgen@b\u{fc}ro.example", "[email]"),
            ("mailto:a+b@example.com", "mailto:[email]"),
        ],
        unchanged: &["@interop/core", "lodash@4.17.21", "core@12.1.0.tgz", "user@host", "a @ b.c"],
    },
    Examples {
        rule: "payment_cards",
        redacted: &[
            ("card 4111 1111 1111 1111 declined", "card [card] declined"),
            ("pan=5500-0000-0000-0004", "pan=[card]"),
            ("378282246310005", "[card]"),
            ("{\"pan\":\"6011111111111117\"}", "{\"pan\":\"[card]\"}"),
        ],
        unchanged: &[
            "4111111111111112",
            "order 1234567812345670",
            "1795421890937000000",
            "id 41111111111111111",
            "4111111111111111a",
            "2026-11-23 08:18:10.936 4111",
        ],
    },
    Examples {
        rule: "ibans",
        redacted: &[
            ("from GB82WEST12345698765432 to", "from [iban] to"),
            ("DE89 3704 0044 0532 0130 00", "[iban]"),
            ("(FR1420041010050500013M02606)", "([iban])"),
        ],
        unchanged: &["GB82WEST12345698765433", "DE89370400440532013001", "XX82WEST12345698765432", "AB12CD34EF56"],
    },
    Examples {
        rule: "phone_numbers",
        redacted: &[
            ("call +44 20 7946 0958 now", "call [phone] now"),
            ("+1 (212) 555-0123", "[phone]"),
            ("tel:+4930123456", "tel:[phone]"),
            ("(212) 555-0123", "[phone]"),
            ("212-555-0123 or 212.555.0123", "[phone] or [phone]"),
        ],
        unchanged: &[
            "2026-11-23T08:18:10.936+01:00",
            "10.20.30.40",
            "1.2.3+20261123",
            "took 12345678 ms",
            "9816_10",
            "0x12345678",
            "123-456-78901",
            "550e8400-e29b-41d4-a716-446655440000",
        ],
    },
    Examples {
        rule: "user",
        redacted: &[
            (r"C:\Users\jdoe\AppData\Local", r"C:\Users\[user]\AppData\Local"),
            (r"C:\\Users\\jdoe\\AppData", r"C:\\Users\\[user]\\AppData"),
            (r"c:/users/jdoe/x.log", r"c:/users/[user]/x.log"),
            (r"C:\Users\Jane Doe\AppData", r"C:\Users\[user]\AppData"),
            ("file:///C:/Users/jdoe/x", "file:///C:/Users/[user]/x"),
            (r"\\fs1\home\jdoe\x", r"\\fs1\home\[user]\x"),
            ("/home/jdoe/app", "/home/[user]/app"),
            ("at /Users/jdoe/app.js:1:2", "at /Users/[user]/app.js:1:2"),
            ("C%3A%5CUsers%5Cjdoe%5CDesktop", "C%3A%5CUsers%5C[user]%5CDesktop"),
            (r"login of ACME\asmith done", r"login of ACME\[user] done"),
            ("log_ASmith.txt", "log_[user].txt"),
        ],
        unchanged: &[
            r"C:\Users\Public\Desktop",
            "https://host/home/dashboard",
            "GET /api/users/list",
            "asmithson",
            "all users are home",
        ],
    },
    Examples {
        rule: "ip_addresses",
        redacted: &[
            ("connect 10.20.30.40:443", "connect [ip]:443"),
            ("from fe80::1 to 2001:db8::8a2e:370:7334", "from [ip] to [ip]"),
        ],
        unchanged: &["version 1.2.3", "999.1.1.1", "08:18:10", "std::fs::read"],
    },
];

fn person() -> UserIdentity {
    UserIdentity { user_name: Some("asmith".to_owned()) }
}

fn redactor() -> Redactor {
    Redactor::new(&RedactionSettings { ip_addresses: true, ..RedactionSettings::default() }, &person())
}

/// Returns a redactor with one rule, so that no other rule can redact in its place.
fn only(rule: &str) -> Redactor {
    let settings = RedactionSettings {
        credentials: rule == "credentials",
        email: rule == "email",
        payment_cards: rule == "payment_cards",
        ibans: rule == "ibans",
        phone_numbers: rule == "phone_numbers",
        user: rule == "user",
        ip_addresses: rule == "ip_addresses",
        patterns: Vec::new(),
    };
    Redactor::new(&settings, &person())
}

/// Rules whose expression does not compile would be missing without an error.
#[test]
fn every_rule_compiles() {
    let names: Vec<String> = redactor().rules.iter().map(|rule| rule.name.clone()).collect();
    let credentials = vec!["credentials"; 6];
    let others = ["email", "payment_cards", "ibans", "phone_numbers", "user", "user", "ip_addresses"];
    assert_eq!(names, [credentials, others.to_vec()].concat());
}

/// Settings: `logs.redaction.credentials`, `logs.redaction.email`, `logs.redaction.payment_cards`,
/// `logs.redaction.ibans`, `logs.redaction.phone_numbers`, `logs.redaction.user`,
/// `logs.redaction.ip_addresses`.
#[test]
fn each_rule_redacts_its_examples() {
    for Examples { rule, redacted, .. } in EXAMPLES {
        for (text, hidden) in *redacted {
            let mut counts = BTreeMap::new();
            assert_eq!(only(rule).redact_counting(text, &mut counts), *hidden, "{rule}");
            assert_eq!(counts.keys().collect::<Vec<_>>(), [rule], "{text}");
            assert_eq!(redactor().redact(text), *hidden, "with all rules: {text}");
        }
    }
}

#[test]
fn each_rule_keeps_its_counterexamples() {
    for Examples { rule, unchanged, .. } in EXAMPLES {
        for text in *unchanged {
            assert!(
                matches!(only(rule).redact(text), Cow::Borrowed(_)),
                "{rule}: {text} -> {}",
                only(rule).redact(text)
            );
        }
    }
}

/// Lines that the real logger wrote contain nothing to redact, only paths of a home directory.
#[test]
fn captured_lines_are_unchanged() {
    for text in [
        include_str!("../../testdata/logs/UserData/DEMO-INTEROP.IO/logs/application.log"),
        include_str!("../../testdata/logs/UserData/DEMO-INTEROP.IO/logs/applications/clientlist.log"),
    ] {
        assert_eq!(redactor().redact(text), text);
    }
}

/// Custom patterns redact the whole match, or their groups if they have any.
///
/// Settings: `logs.redaction.patterns`, `logs.redaction.patterns[].name`,
/// `logs.redaction.patterns[].pattern`.
#[test]
fn custom_patterns_are_redacted() {
    let settings: RedactionSettings = serde_json::from_value(serde_json::json!({
        "patterns": [{ "name": "account", "pattern": r"\bACC-\d+" }, { "name": "desk", "pattern": r"desk=(\w+)" }]
    }))
    .unwrap();
    let redactor = Redactor::new(&settings, &UserIdentity::default());
    assert_eq!(redactor.redact("ACC-17 on desk=FX7"), "[account] on desk=[desk]");
}

/// Overlapping matches are redacted as one, with the placeholder of the first rule.
#[test]
fn overlapping_matches_are_redacted_together() {
    assert_eq!(redactor().redact("password=jane@example.com"), "password=[credential]");
    assert_eq!(redactor().redact("https://joe:x@mail.example.com/"), "https://[credential]/");
    assert_eq!(redactor().redact("/home/jane@example.com/x"), "/home/[email]/x");
}

fn pieces() -> impl Strategy<Value = String> {
    let cases: Vec<&str> = EXAMPLES
        .iter()
        .flat_map(|cases| cases.redacted.iter().map(|(text, _)| *text).chain(cases.unchanged.iter().copied()))
        .collect();
    let piece = prop_oneof![
        4 => prop::sample::select(cases).prop_map(str::to_owned),
        2 => "\\PC{0,12}",
        2 => prop::sample::select(vec![" ", "\n", "=", ": ", "\"", "\\", "[", "]", "@", "+", "[credential]", "[user]", "."]).prop_map(str::to_owned),
        1 => "[0-9 +-]{0,20}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redacting_twice_equals_redacting_once(text in pieces()) {
        let once = redactor().redact(&text).into_owned();
        let twice = redactor().redact(&once).into_owned();
        prop_assert_eq!(&once, &twice, "of {:?}", text);
    }

    /// A secret never remains, whatever text surrounds it.
    #[test]
    fn planted_secret_is_always_redacted(before in "[ -~]{0,30}", after in "[ -~]{0,30}", form in 0..5_usize) {
        const SECRET: &str = "Zq9xT7vKw2";
        let planted = match form {
            0 => format!("password={SECRET} "),
            1 => format!("\"access_token\":\"{SECRET}\""),
            2 => format!("Authorization: Bearer {SECRET}"),
            3 => format!("https://svc:{SECRET}@host.example/x"),
            _ => format!("?api_key={SECRET}&x=1"),
        };
        let text = format!("{before}\n{planted}\n{after}");
        prop_assert!(!redactor().redact(&text).contains(SECRET), "{}", redactor().redact(&text));
    }
}

const HEAD: &str = "\
<!-- Generated from agent/src/redaction by its tests: `UPDATE_DOCS=1 cargo test -p insights-agent --lib redaction`. -->
# Privacy

## Never collected

- Window titles, web addresses, keystrokes, screen contents, and the contents of files other than
  io.Connect's own log files.
- Any log file before logs of its kind are shared, by the user or by a policy of the organisation,
  which the window shows. Platform logs and application logs are shared separately. If the user
  opens a preview, the files are read for the preview only. When sharing ends, the agent deletes the
  log data that is still queued on the machine.

## What the agent collects about a person

- **Sessions.** When a session of the user starts and ends, and how long it was active, idle or
  locked.
- **App usage.** How long and how often each io.Connect app was in use. All other programs are
  counted together as \"other\", unless a rule in `focus.apps` names the program.
- **Identity.** `resource.user` is `hash` by default: exported data contains a hash of the user's
  name instead of the name. With `name` it contains the name, with `none` neither.

`focus.enabled` set to `false` turns off app usage. [Exported data](signals.md) lists every metric,
attribute, event and span.

## Data of the platform and its apps

The two lists above are about the data that the agent itself collects. The platform and its apps can also send
their own telemetry to the agent's receiver (docs/own-data.md):

- **Passed on unchanged.** The agent passes their telemetry on as they created it, except log
  records. It accepts log records only while application logs are shared, and redacts them with the
  rules below.
- **User names.** With `resource.user` set to `hash` or `none`, the agent's own data contains no user
  name. The data of io.Insights has its own attributes `user`, `user.id` and `osUser` in clear text,
  unless the settings of io.Insights shorten or drop them. Set `reduceModality` for the attribute in
  `publishingSettings`; 0 drops the attribute.
- **Turning it off.** With `receiver.enabled` set to `false`, the agent accepts no telemetry from the
  platform and its apps.

## Redaction of log records

Before a record enters the queue on disk, the agent replaces everything that a rule finds in its
message, category and file name with a placeholder such as `[email]`. The settings
`logs.redaction.*` turn rules on and off, and a company can add its own patterns.

The rules redact too much rather than too little. They cannot recognise every secret: text that
matches no rule is sent.

To see what would be sent of a file, and what is redacted in it, run `insights-agent redact FILE`.

**Processing time.** The time to redact a line grows linearly with its length, whatever the patterns
are: the text is searched with an automaton, without backtracking. A pattern that needs a large
automaton is rejected.
";

fn document() -> String {
    let code = |text: &str| format!("`` {} ``", text.replace('\n', "\u{21b5}").replace('|', "\\|"));
    let mut text = HEAD.to_owned();
    for Examples { rule, redacted, unchanged } in EXAMPLES {
        _ = write!(text, "\n### `logs.redaction.{rule}`\n\n| in the file | as sent |\n|---|---|\n");
        for (before, after) in *redacted {
            _ = writeln!(text, "| {} | {} |", code(before), code(after));
        }
        let left: Vec<String> = unchanged.iter().map(|text| code(text)).collect();
        _ = write!(text, "\nNot redacted: {}\n", left.join(", "));
    }
    text.push_str("\nThe examples are for a user with the login name `asmith`. `ip_addresses` is off by default.\n");
    text
}

/// Compares the document with the examples; `UPDATE_DOCS=1` writes it.
#[test]
fn privacy_document_matches_examples() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/privacy.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, document()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(written == document(), "docs/privacy.md is out of date; regenerate it with UPDATE_DOCS=1 cargo test");
}

proptest! {
    /// Guarantees: a user name is redacted whatever other word it contains or overlaps. The scan
    /// for hints once missed `homer`, because it had already counted its letters as `home`.
    #[test]
    fn user_name_is_redacted_when_it_overlaps_another_word(
        start in "[a-z]{0,4}",
        word in prop::sample::select(vec!["home", "users", "asia", "token", "secret", "xox", "pwd", "akia", "cookie"]),
        end in "[a-z]{1,4}",
    ) {
        let name = format!("{start}{word}{end}");
        let redactor = Redactor::new(&RedactionSettings::default(), &UserIdentity { user_name: Some(name.clone()) });
        let text = format!("login of {name} done");
        prop_assert_eq!(redactor.redact(&text), "login of [user] done");
    }
}
