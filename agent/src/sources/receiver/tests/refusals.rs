//! What cannot be taken.

use super::*;
use crate::sources::receiver::body::LARGEST_BODY;
use crate::sources::receiver::prepare::LARGEST_REQUEST;

/// Path, headers and body of a request; the status and the reason of its refusal.
type Case<'a> = (&'a str, &'a [&'a str], &'a [u8], &'a str, &'a str);

/// Guarantees: each kind of request that cannot be taken is refused with its status and a reason, is counted, and leaves
/// nothing behind.
#[tokio::test]
async fn what_cannot_be_taken_is_refused() {
    let desk = Desk::usual();
    let (json, protobuf) = ("Content-Type: application/json", "Content-Type: application/x-protobuf");
    let bomb = compression::compress(Compression::Gzip, &vec![0; LARGEST_REQUEST + 1]).unwrap();
    let deep = [r#"{"resourceSpans":"#, &"[".repeat(100_000)].concat();
    let large = vec![b' '; LARGEST_BODY + 1];
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
        let answer = desk.post(path, headers, body).await;
        assert_eq!(status_of(&answer), status, "{path} {headers:?}: {answer}");
        assert!(!answer.contains("access-control-allow-origin"), "{answer}");
        *counted.entry(reason.to_owned()).or_default() += 1;
        assert_eq!(desk.receiver.status().refused, counted, "{path} {headers:?}");
    }
    let web = desk.post("/v1/traces", &["Content-Type: application/grpc-web+proto"], b"").await;
    assert_eq!(status_of(&web), "415", "another protocol than gRPC: {web}");
    let call = desk.post(
        "/opentelemetry.proto.collector.profiles.v1.Profiles/Export",
        &["Content-Type: application/grpc"],
        b"",
    );
    assert!(call.await.contains("grpc-status: 12\r\n"), "UNIMPLEMENTED");
    let long = format!("Host: {}.evil.test", "x".repeat(10_000));
    let long =
        desk.raw(format!("POST / HTTP/1.1\r\n{long}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").into_bytes());
    let long = long.await;
    assert!(status_of(&long) == "403" && long.len() < 1000, "its name is not all repeated: {long}");
    let rebound = b"POST /v1/traces HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(status_of(&desk.raw(rebound.to_vec()).await), "403");
    let read = b"GET /v1/traces HTTP/1.1\r\nHost: [::1]:4318\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&desk.raw(read.to_vec()).await), "405");
    for (reason, count) in [("media_type", 1), ("call", 1), ("host", 2), ("method", 1)] {
        *counted.entry(reason.to_owned()).or_default() += count;
    }
    assert_eq!(desk.receiver.status().refused, counted);
    assert_eq!(desk.receiver.status().refused_origin.as_deref(), Some("null"));

    let empty = desk.post("/v1/metrics", &[json], b"{\"resourceMetrics\":[]}").await;
    assert_eq!(status_of(&empty), "200", "nothing is as good as taken: {empty}");
    desk.pause.set(PauseFor::OneHour.end(&jiff::ZonedDateTime::now())).unwrap();
    let paused = desk.post("/v1/metrics", &[json], b"{\"resourceMetrics\":[]}").await;
    assert!(status_of(&paused) == "503" && paused.contains("retry-after: 60"), "{paused}");
    for signal in Signal::ALL {
        assert!(desk.queue.next(signal).await.is_none());
    }
    desk.end().await;
}
