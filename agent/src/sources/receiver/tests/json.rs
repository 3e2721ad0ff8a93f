//! Scenario: requests in the JSON of OTLP. What its fields may contain is tested in
//! `otlp::from_json`.

use super::*;

/// Guarantees: a value that does not fit its field is answered with a reason that names the field,
/// and nothing of the request is queued: it is never accepted and partly lost.
#[tokio::test]
async fn invalid_json_values_are_rejected_with_field_name() {
    let env = TestEnv::with_allowed_origin();
    let valid = span("valid", &[], 1, false);
    for (body, field) in [
        (trace(&[], &[valid.clone(), json!({ "traceId": "0" })]), "traceId"),
        (trace(&[], &[valid, json!({ "kind": "SPAN_KIND_SERVER" })]), "kind"),
        (br#"{"resourceSpans":[],"resourceLogs":[]}"#.to_vec(), "one signal"),
    ] {
        let answer = env.post("/v1/traces", &["Content-Type: application/json"], &body).await;
        assert!(status_of(&answer) == "400" && answer.contains(field), "{}: {answer}", String::from_utf8_lossy(&body));
    }
    for signal in Signal::ALL {
        assert!(env.queue.next(signal).await.is_none());
    }
    env.stop().await;
}

/// Guarantees: the body determines the signal, even if the path names another one, so that nothing
/// is acknowledged and lost.
#[tokio::test]
async fn json_body_determines_signal() {
    let env = TestEnv::with_allowed_origin();
    let body = trace(&[], &[span("here", &[], 1, false)]);
    let answer = env.post("/v1/metrics", &["Content-Type: application/json"], &body).await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    assert!(String::from_utf8_lossy(&env.queued(Signal::Traces).await).contains("here"));
    let answer = env.post("/anything", &["Content-Type: application/json"], b"{}").await;
    assert_eq!(status_of(&answer), "400", "neither the body nor the path names a signal: {answer}");
    env.stop().await;
}
