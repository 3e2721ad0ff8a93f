use serde_json::Value;

use super::*;

const HTTP: &str = "http://127.0.0.1:4318";

/// Guarantees: a file keeps its comments, its layout and what the company decided; addresses are set, the token goes along.
#[test]
fn a_file_stays_what_it_is() {
    let text = "{\r\n  // ours\r\n  \"env\": \"PROD\", /* kept */\r\n  \"otel\": {\r\n    \"enabled\": true,\r\n    \
                \"metrics\": { \"enabled\": false, \"url\": \"http://old\" }, # no\r\n  },\r\n}\r\n";
    assert!(matches!(pointed_at(text, HTTP, None), Err(SetupError::Syntax(_))), "`#` begins no comment there");
    let text = text.replace("# no", "// yes");
    let Pointed { text: changed, off } = pointed_at(&text, HTTP, Some("s3cret")).unwrap();
    assert_eq!(off, ["otel.metrics.enabled"], "it is told");
    for kept in ["// ours\r\n", "/* kept */", "// yes\r\n", "\"enabled\": false"] {
        assert!(changed.contains(kept), "{kept} is not in {changed}");
    }
    assert!(!changed.contains("http://old") && !changed.replace("\r\n", "").contains('\n'), "{changed}");
    let again = pointed_at(&changed, HTTP, Some("s3cret")).unwrap().text;
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

/// Guarantees: the key that a file has is used, the newer one first; in an empty file it is the one that all versions take.
#[test]
fn the_key_is_that_of_the_file() {
    for (text, key) in [("{}", "otel"), ("{\"otel\":{}}", "otel"), ("{\"otel\":{},\"insights\":{}}", "insights")] {
        let file: Value = serde_json::from_str(&pointed_at(text, HTTP, None).unwrap().text).unwrap();
        assert_eq!(file[key]["logs"]["url"], "http://127.0.0.1:4318/v1/logs", "{text}");
    }
}

/// Guarantees: what is no object is said, and nothing is replaced.
#[test]
fn another_shape_is_an_error() {
    for (text, what) in [
        ("[]", "`the file` is no object"),
        ("{\"insights\":7}", "`insights` is no object"),
        ("{\"otel\":{\"traces\":[]}}", "`otel.traces` is no object"),
        ("{", "it is no JSON"),
        ("", "`the file` is no object"),
    ] {
        let error = pointed_at(text, HTTP, None).unwrap_err().to_string();
        assert!(error.starts_with(what), "{text}: {error}");
    }
}
