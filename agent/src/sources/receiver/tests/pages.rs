//! Scenario: web pages and other programs send, with and without a token.

use super::*;
use crate::sources::receiver::access::is_this_machine;

/// Guarantees: if a token is set, requests without it are rejected, over HTTP and gRPC, also if
/// they claim to come from a page of an allowed origin.
///
/// Settings: `receiver.token`.
#[tokio::test]
async fn requests_without_token_are_rejected() {
    let token = Some(serde_json::from_value(json!("s3cret")).unwrap());
    let allowed_origins = vec![ORIGIN.parse().unwrap()];
    let env = TestEnv::with(ReceiverSettings { allowed_origins, token, ..ReceiverSettings::default() });
    let (json, origin) = ("Content-Type: application/json", format!("Origin: {ORIGIN}"));
    for (header, status) in [
        ("Accept: */*", "401"),
        ("Authorization: Bearer wrong", "401"),
        ("Authorization: s3cret", "401"),
        ("Authorization: Bearer s3cret", "200"),
        (origin.as_str(), "401"),
        ("Origin: https://evil.test", "403"),
    ] {
        let answer = env.post("/v1/traces", &[json, header], b"{\"resourceSpans\":[]}").await;
        assert_eq!(status_of(&answer), status, "{header}: {answer}");
        assert!(!answer.contains("s3cret"), "{answer}");
    }
    let mut client = TraceServiceClient::connect(format!("http://{}", env.http)).await.unwrap();
    let refused = client.export(ExportTraceServiceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused}");
    let mut known = tonic::Request::new(ExportTraceServiceRequest::default());
    known.metadata_mut().insert("authorization", "Bearer s3cret".parse().unwrap());
    client.export(known).await.unwrap();
    assert_eq!(env.receiver.status().refused, [("origin".to_owned(), 1), ("token".to_owned(), 5)].into());
    env.stop().await;
}

/// Guarantees: the preflight response allows pages of allowed origins to send, with the token and
/// from another network. Such a page can read rejections and their retry time.
#[tokio::test]
async fn preflight_allows_pages_of_allowed_origins() {
    let token = Some(serde_json::from_value(json!("s3cret")).unwrap());
    let allowed_origins = vec![ORIGIN.parse().unwrap(), "null".parse().unwrap()];
    let env = TestEnv::with(ReceiverSettings { allowed_origins, token, ..ReceiverSettings::default() });
    for origin in [ORIGIN, "null"] {
        let asked = format!(
            "OPTIONS /v1/traces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n\
             Access-Control-Request-Private-Network: true\r\nAccess-Control-Request-Local-Network: true\r\n\r\n"
        );
        let answer = env.raw(asked.into_bytes()).await;
        assert_eq!(status_of(&answer), "204", "{answer}");
        for header in [
            format!("access-control-allow-origin: {origin}\r\n").as_str(),
            "access-control-allow-headers: authorization,content-type\r\n",
            "access-control-allow-methods: POST\r\n",
            "access-control-allow-private-network: true\r\n",
            "access-control-allow-local-network: true\r\n",
            "access-control-allow-credentials: true\r\n",
        ] {
            assert!(answer.contains(header), "{header}: {answer}");
        }
    }
    let (json, origin) = ("Content-Type: application/json", format!("Origin: {ORIGIN}"));
    let without = env.post("/v1/traces", &[json, &origin], b"{}").await;
    assert!(status_of(&without) == "401" && without.contains("access-control-allow-origin: https://desk"), "{without}");
    env.pause.set(PauseFor::OneHour.end(&jiff::ZonedDateTime::now())).unwrap();
    let said = [json, &origin, "Authorization: Bearer s3cret"];
    let paused = env.post("/v1/traces", &said, b"{}").await;
    let header = "access-control-expose-headers: retry-after\r\n";
    assert!(status_of(&paused) == "503" && paused.contains(header), "{paused}");
    env.stop().await;
}

/// Guarantees: the host check accepts only names that cannot belong to another machine.
#[test]
fn host_check_accepts_loopback_names_only() {
    for name in ["localhost", "LocalHost:4318", "127.0.0.1", "127.0.0.1:4318", "[::1]", "[::1]:4318"] {
        assert!(is_this_machine(name), "{name}");
    }
    for name in [
        "",
        "localhost.evil.test",
        "evil.test:4318",
        "[::1].evil.com",
        "127.0.0.1:x@evil.com",
        "127.0.0.1.evil.com",
        "localhost:4318:1",
        "127.0.0.1:123456",
        "[::1",
        "::1",
    ] {
        assert!(!is_this_machine(name), "{name}");
    }
}
