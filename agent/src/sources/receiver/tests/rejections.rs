//! Scenario: requests that the receiver cannot accept.

use super::*;
use crate::sources::receiver::body::MAX_BODY_BYTES;
use crate::sources::receiver::prepare::MAX_REQUEST_BYTES;

/// Path, headers and body of a request; the status and the name of its rejection.
type Case<'a> = (&'a str, &'a [&'a str], &'a [u8], &'a str, &'a str);

/// Guarantees: every kind of invalid request is rejected with its status and a reason, is counted,
/// and puts nothing into the queue.
#[tokio::test]
async fn invalid_requests_are_rejected_with_reason() {
    let env = TestEnv::with_allowed_origin();
    let (json, protobuf) = ("Content-Type: application/json", "Content-Type: application/x-protobuf");
    let bomb = compression::compress(Compression::Gzip, &vec![0; MAX_REQUEST_BYTES + 1]).unwrap();
    let deep = [r#"{"resourceSpans":"#, &"[".repeat(100_000)].concat();
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    let gzip = "Content-Encoding: gzip";
    let cases: [Case<'_>; 12] = [
        ("/v1/traces", &[json], b"{\"resourceSpans\":", "400", "malformed"),
        ("/v1/traces", &[json], deep.as_bytes(), "400", "malformed"),
        ("/anything", &[json], b"{\"spans\":[]}", "400", "malformed"),
        ("/v1/traces", &[protobuf], b"\x0a\xff", "400", "malformed"),
        ("/v1/traces", &[protobuf, gzip], b"no gzip", "400", "malformed"),
        ("/anything", &[protobuf], b"", "404", "path"),
        ("/v1/traces", &["Content-Type: text/plain"], b"{}", "415", "media_type"),
        ("/v1/traces", &[json, "Content-Encoding: br"], b"{}", "415", "media_type"),
        ("/v1/traces", &[protobuf, gzip], &bomb, "413", "too_large"),
        ("/v1/traces", &[protobuf], &large, "413", "too_large"),
        ("/v1/traces", &[json, "Origin: https://evil.test"], b"{}", "403", "origin"),
        ("/v1/traces", &[json, "Origin: null"], b"{}", "403", "origin"),
    ];
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for (path, headers, body, status, reason) in cases {
        let answer = env.post(path, headers, body).await;
        assert_eq!(status_of(&answer), status, "{path} {headers:?}: {answer}");
        assert!(!answer.contains("access-control-allow-origin"), "{answer}");
        *counted.entry(reason.to_owned()).or_default() += 1;
        assert_eq!(env.receiver.status().refused, counted, "{path} {headers:?}");
    }
    let web = env.post("/v1/traces", &["Content-Type: application/grpc-web+proto"], b"").await;
    assert_eq!(status_of(&web), "415", "gRPC-Web is not gRPC: {web}");
    let call = env.post(
        "/opentelemetry.proto.collector.profiles.v1.Profiles/Export",
        &["Content-Type: application/grpc"],
        b"",
    );
    assert!(call.await.contains("grpc-status: 12\r\n"), "UNIMPLEMENTED");
    let long = format!("Host: {}.evil.test", "x".repeat(10_000));
    let long =
        env.raw(format!("POST / HTTP/1.1\r\n{long}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").into_bytes());
    let long = long.await;
    assert!(status_of(&long) == "403" && long.len() < 1000, "the reason quotes only a part of the name: {long}");
    let rebound = b"POST /v1/traces HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(status_of(&env.raw(rebound.to_vec()).await), "403");
    let read = b"GET /v1/traces HTTP/1.1\r\nHost: [::1]:4318\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&env.raw(read.to_vec()).await), "405");
    for (reason, count) in [("media_type", 1), ("call", 1), ("host", 2), ("method", 1)] {
        *counted.entry(reason.to_owned()).or_default() += count;
    }
    assert_eq!(env.receiver.status().refused, counted);
    assert_eq!(env.receiver.status().refused_origin.as_deref(), Some("null"));

    let empty = env.post("/v1/metrics", &[json], b"{\"resourceMetrics\":[]}").await;
    assert_eq!(status_of(&empty), "200", "an empty request is accepted: {empty}");
    env.pause.set(PauseFor::OneHour.end(&jiff::ZonedDateTime::now())).unwrap();
    let paused = env.post("/v1/metrics", &[json], b"{\"resourceMetrics\":[]}").await;
    assert!(status_of(&paused) == "503" && paused.contains("retry-after: 60"), "{paused}");
    for signal in Signal::ALL {
        assert!(env.queue.next(signal).await.is_none());
    }
    env.stop().await;
}
