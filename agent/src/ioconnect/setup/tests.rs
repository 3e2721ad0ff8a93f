//! Scenario: `system.json` is pointed at the agent's receiver.

use serde_json::Value;

use super::*;

const HTTP: &str = "http://127.0.0.1:4318";

/// Guarantees: a file keeps its comments, its layout and the company's decisions; the addresses and
/// the token are set.
#[test]
fn changed_file_keeps_comments_and_decisions() {
    let text = "{\r\n  // ours\r\n  \"env\": \"PROD\", /* kept */\r\n  \"otel\": {\r\n    \"enabled\": true,\r\n    \
                \"metrics\": { \"enabled\": false, \"url\": \"http://old\" }, # no\r\n  },\r\n}\r\n";
    assert!(
        matches!(with_insights_endpoint(text, HTTP, None), Err(SetupError::Syntax(_))),
        "`#` begins no comment there"
    );
    let text = text.replace("# no", "// yes");
    let UpdatedConfig { text: changed, disabled } = with_insights_endpoint(&text, HTTP, Some("s3cret")).unwrap();
    assert_eq!(disabled, ["otel.metrics.enabled"], "it is reported");
    for kept in ["// ours\r\n", "/* kept */", "// yes\r\n", "\"enabled\": false"] {
        assert!(changed.contains(kept), "{kept} is not in {changed}");
    }
    assert!(!changed.contains("http://old") && !changed.replace("\r\n", "").contains('\n'), "{changed}");
    let again = with_insights_endpoint(&changed, HTTP, Some("s3cret")).unwrap().text;
    assert_eq!(again, changed, "a second time changes nothing");
    let mut json = changed;
    json_strip_comments::strip_comments_in_place(&mut json).unwrap();
    let file: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(file["env"], "PROD");
    assert_eq!(file["otel"]["headers"]["authorization"], "Bearer s3cret");
    assert_eq!(file["otel"]["metrics"]["url"], "http://127.0.0.1:4318/v1/metrics");
    assert_eq!(
        file["otel"]["traces"],
        serde_json::json!({ "enabled": true, "url": "http://127.0.0.1:4318/v1/traces" })
    );
}

/// Guarantees: the existing key is used, the newer one first. In an empty file it is the key that
/// all versions accept.
#[test]
fn existing_key_is_used() {
    for (text, key) in [("{}", "otel"), ("{\"otel\":{}}", "otel"), ("{\"otel\":{},\"insights\":{}}", "insights")] {
        let file: Value = serde_json::from_str(&with_insights_endpoint(text, HTTP, None).unwrap().text).unwrap();
        assert_eq!(file[key]["logs"]["url"], "http://127.0.0.1:4318/v1/logs", "{text}");
    }
}

/// Guarantees: a value that is not an object is reported, and nothing is replaced.
#[test]
fn other_shape_is_an_error() {
    for (text, what) in [
        ("[]", "`the file` is not a JSON object"),
        ("{\"insights\":7}", "`insights` is not a JSON object"),
        ("{\"otel\":{\"traces\":[]}}", "`otel.traces` is not a JSON object"),
        ("{", "it is not valid JSON"),
        ("", "`the file` is not a JSON object"),
    ] {
        let error = with_insights_endpoint(text, HTTP, None).unwrap_err().to_string();
        assert!(error.starts_with(what), "{text}: {error}");
    }
}
