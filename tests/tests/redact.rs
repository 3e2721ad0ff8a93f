//! Scenario: a user looks at what would be sent of a log file, with `insights-agent redact`.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use test_support::test_env::{TestEnv, text};

const LINES: &str = "\
[2026-11-23T08:18:10.936] [INFO] default - login with token=s3cr3t
[2026-11-23T08:18:10.937] [DEBUG] default - left out
[2026-11-23T08:18:10.938] [ERROR] default - TypeError: no route
    at f (C:\\Users\\jdoe\\app.js:1:2)
[2026-11-23T08:18:10.939] [INFO] default - nothing to hide
";

fn test_env() -> TestEnv {
    let mut env = TestEnv::new();
    env.set(r#"logs.filters=[{"below":"info"}]"#);
    env.write("application.log", LINES);
    env
}

/// Guarantees: prints the file with redacted values, marks records that are not sent, and prints a
/// summary.
#[test]
fn redact_prints_file_as_it_would_be_sent() {
    let env = test_env();
    let output = env.run(&["redact", env.log("application.log").to_str().unwrap()]);
    assert!(output.status.success());
    let shown = LINES
        .replace("s3cr3t", "[credential]")
        .replace("jdoe", "[user]")
        .replace("[2026-11-23T08:18:10.937]", "(not sent, filtered) [2026-11-23T08:18:10.937]");
    assert_eq!(text(&output.stdout), shown);
    assert_eq!(text(&output.stderr), "4 records, 2 redactions\n  credentials: 1\n  user: 1\nnot sent, filtered: 1\n");
}

/// Guarantees: reads standard input, and prints changed records as JSON.
#[test]
fn redact_prints_standard_input_as_json() {
    let env = test_env();
    let mut command = env.command(&["redact", "-", "--json", "--only-changed"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(LINES.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let records: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = records.iter().map(|record| (record["hidden"].clone(), record["left_out"].as_str())).collect();
    assert_eq!(
        shown,
        [
            (serde_json::json!({ "credentials": 1 }), None),
            (serde_json::json!({}), Some("filtered")),
            (serde_json::json!({ "user": 1 }), None),
        ]
    );
}

/// Guarantees: names a file that does not exist, and exits with code 1.
#[test]
fn redact_fails_when_file_is_missing() {
    let output = test_env().run(&["redact", "no-such-file.log"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("failed to read no-such-file.log"), "{}", text(&output.stderr));
}
