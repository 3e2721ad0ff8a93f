//! Scenario: requests contain secrets in texts, bytes and attributes.

use super::*;

/// Guarantees: the attributes of spans and span events that the settings name are redacted, and no
/// others.
///
/// Settings: `receiver.redacted_attributes`.
#[tokio::test]
async fn span_attributes_named_in_settings_are_redacted() {
    let redacted_attributes = vec!["args.*".to_owned()];
    let env = TestEnv::with(ReceiverSettings { redacted_attributes, ..ReceiverSettings::default() });
    let attributes = [("args.login", "password=hunter2"), ("note", "password=swordfish")];
    let body = trace(&[], &[span("login", &attributes, 1, false)]);
    let answer = env.post("/v1/traces", &["Content-Type: application/json"], &body).await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    let queued = env.queued(Signal::Traces).await;
    let text = String::from_utf8_lossy(&queued);
    assert!(!text.contains("hunter2"), "neither in the span nor in its event");
    assert_eq!(text.matches("password=swordfish").count(), 2);
    env.stop().await;
}

fn text(value: &str) -> Value {
    json!({ "stringValue": value })
}

/// Guarantees: all texts of a log request are redacted, in records, scopes and resources, also
/// those sent as bytes. A value whose key is the name of a credential is replaced as a whole,
/// whatever its type and nesting.
#[tokio::test]
async fn log_requests_are_redacted_completely() {
    let env = TestEnv::with_allowed_origin();
    env.receiver.ingest.share_logs(true).await;
    let pair = |key: &str, value: Value| json!({ "key": key, "value": value });
    let inner =
        json!({ "kvlistValue": { "values": [pair("apiKey", text("swordfish 1")), pair("note", text("kept"))] } });
    let record = json!({
        "body": { "bytesValue": "cGFzc3dvcmQ9aHVudGVyMg==" },
        "attributes": [
            pair("user.password", text("swordfish 2")), pair("token", json!({ "intValue": 424_242 })), pair("inner", inner),
            pair("secrets", text("not one")), pair("client_secret", json!({ "arrayValue": { "values": [text("swordfish 3")] } })),
            pair("hasToken", json!({ "boolValue": true })), pair("password", text("")),
        ],
    });
    let body = json!({ "resourceLogs": [{
        "resource": { "attributes": [pair("launch", text("--password swordfish4")), pair("service.name", text("blotter"))] },
        "scopeLogs": [{ "scope": { "attributes": [pair("token", text("swordfish 5"))] }, "logRecords": [record] }],
    }] });
    let answer = env.post("/v1/logs", &["Content-Type: application/json"], body.to_string().as_bytes()).await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    let queued = env.queued(Signal::Logs).await;
    let all = String::from_utf8_lossy(&queued);
    assert!(!all.contains("swordfish") && !all.contains("hunter2"), "{all}");
    for kept in ["kept", "not one", "blotter", "launch", "client_secret", "password=[credential]"] {
        assert!(all.contains(kept), "{kept}: {all}");
    }
    let arrived = ExportLogsServiceRequest::decode(queued.as_slice()).unwrap();
    let record = &arrived.resource_logs[0].scope_logs[0].log_records[0];
    let value =
        |index: usize| format!("{:?}", record.attributes[index].value.as_ref().unwrap().value.as_ref().unwrap());
    for credential in [0, 1, 4] {
        assert_eq!(value(credential), r#"StringValue("[credential]")"#);
    }
    assert_eq!((value(5).as_str(), value(6).as_str()), ("BoolValue(true)", r#"StringValue("")"#));
    env.stop().await;
}
