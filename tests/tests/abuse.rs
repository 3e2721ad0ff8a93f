//! Scenario: a program on the same machine sends malformed, oversized, slow and compressed-bomb
//! requests to the receiver of the built agent.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use test_support::test_env::TestEnv;
use test_support::wait_for;

/// Number of requests.
const REQUESTS: usize = 10_000;
/// Number of programs that send at the same time.
const SENDERS: usize = 8;
/// One request in this many is large. With more of them, the test would only wait for large
/// requests.
const LARGE_EVERY: usize = 100;
/// Number of connections that never send the rest of their request, and of connections that never
/// send anything.
const SLOW: usize = 64;
/// Maximum growth of memory, in MiB: less than one of the largest requests takes when decompressed
/// and decoded.
const MAX_GROWTH: u64 = 24;

/// A request, the expected status of the response, and the reason under which it is counted.
struct Case {
    request: Vec<u8>,
    status: &'static str,
    counted: Option<&'static str>,
}

fn post(headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers = headers.iter().fold(String::new(), |all, header| all + header + "\r\n");
    let head = format!("POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
    let length =
        if head.contains("Transfer-Encoding") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    [format!("{head}{length}\r\n").as_bytes(), body].concat()
}

/// Returns 64 MiB of zeros, compressed with gzip.
fn bomb() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        gzip.write_all(&zeros).unwrap();
    }
    gzip.finish().unwrap()
}

fn small() -> Vec<Case> {
    let (json, protobuf) = ("Content-Type: application/json", "Content-Type: application/x-protobuf");
    let case = |headers: &[&str], body: &[u8], status, counted| Case {
        request: post(headers, body),
        status,
        counted: Some(counted),
    };
    let deep = [r#"{"resourceSpans":"#, &"[".repeat(10_000)].concat();
    let other_host = b"POST /v1/traces HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let long_head = post(&[&format!("X-Long: {}", "x".repeat(100_000))], b"");
    vec![
        case(&[json], b"{\"resourceSpans\":", "400", "malformed"),
        case(&[json], deep.as_bytes(), "400", "malformed"),
        case(&[json], b"{\"resourceSpans\":{\"a\":1}}", "400", "malformed"),
        case(&[protobuf], b"\x0a\xff\xff\xff\xff\x0f", "400", "malformed"),
        case(&[protobuf], &[0xff; 300], "400", "malformed"),
        case(&[protobuf, "Content-Encoding: gzip"], b"\x1f\x8b no gzip", "400", "malformed"),
        case(&[protobuf, "Content-Encoding: zstd"], b"no zstd", "400", "malformed"),
        case(&["Content-Type: text/plain"], b"{}", "415", "media_type"),
        case(&[json, "Content-Encoding: br"], b"{}", "415", "media_type"),
        case(&[json, "Origin: https://evil.test"], b"{}", "403", "origin"),
        Case { request: other_host.to_vec(), status: "403", counted: Some("host") },
        // The HTTP library responds to these itself; they are not counted.
        Case { request: long_head, status: "431", counted: None },
        Case { request: b"\x16\x03\x01\x02\x00 a TLS handshake".to_vec(), status: "400", counted: None },
    ]
}

fn large() -> Vec<Case> {
    let protobuf = "Content-Type: application/x-protobuf";
    let too_much = vec![0_u8; (8 << 20) + 1];
    let chunked = [format!("{:x}\r\n", too_much.len()).as_bytes(), &too_much, b"\r\n0\r\n\r\n"].concat();
    let mut call = vec![1];
    let bomb = bomb();
    call.extend(u32::try_from(bomb.len()).unwrap().to_be_bytes());
    call.extend(&bomb);
    let grpc = post(&["Content-Type: application/grpc", "Grpc-Encoding: gzip"], &call);
    let method = b"/opentelemetry.proto.collector.trace.v1.TraceService/Export".as_slice();
    let grpc = [b"POST ", method, &grpc["POST /v1/traces".len()..]].concat();
    let case = |headers: &[&str], body: &[u8]| Case {
        request: post(headers, body),
        status: "413",
        counted: Some("too_large"),
    };
    // Parts of a few bytes, each of which takes hundreds of bytes in memory.
    let parts = |part: &str| [r#"{"resourceSpans":["#, &vec![part; 1 << 20].join(","), "]}"].concat();
    let pieces = [b"1\r\n \r\n".repeat(1 << 16), b"1\r\n]\r\n0\r\n\r\n".to_vec()].concat();
    vec![
        case(&[protobuf], &b"\x0a\x04\x12\x02\x12\x00".repeat(1 << 20)),
        case(&[protobuf], &b"\x0a\x00".repeat(4 << 20)[..8 << 20]),
        case(&["Content-Type: application/json"], parts("{}").as_bytes()),
        Case {
            request: post(&["Content-Type: application/json", "Transfer-Encoding: chunked"], &pieces),
            status: "400",
            counted: Some("malformed"),
        },
        case(&[protobuf, "Content-Encoding: gzip"], &bomb),
        case(&[protobuf], &too_much),
        case(&[protobuf, "Transfer-Encoding: chunked"], &chunked),
        // The status of a gRPC call is in its trailers.
        Case { status: "200", request: grpc, counted: Some("too_large") },
        Case {
            request: post(
                &["Content-Type: application/json"],
                &[&b"{\"resourceSpans\":"[..], &vec![b'['; 4 << 20]].concat(),
            ),
            status: "400",
            counted: Some("malformed"),
        },
    ]
}

fn send(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // The agent may close the connection before the request is complete.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn refused(env: &TestEnv) -> BTreeMap<String, u64> {
    let status: Value = env.status();
    serde_json::from_value(status["receiver"]["refused"].clone()).unwrap()
}

/// Returns the private memory of a process, in MiB (proc(5), `smaps_rollup`).
fn private_memory(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("Private_"));
    let kilobytes = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.sum::<u64>() / 1024
}

/// Guarantees: each of ten thousand malformed, truncated, oversized and compressed-bomb requests
/// gets the expected status and is counted by its reason. Senders that stop in the middle of a
/// request do not delay others and finally get status 408; silent connections are closed. The
/// agent's memory does not grow.
#[test]
fn bad_requests_are_rejected_without_memory_growth() {
    let env = TestEnv::new();
    let agent = env.start();
    let status = env.status();
    let address = status["receiver"]["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            let head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
            write!(stream, "{head}Content-Length: 1000000\r\n\r\n{{").unwrap();
            stream
        })
        .collect();
    let silent: Vec<TcpStream> = (0..SLOW)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).unwrap();
            if number % 2 == 0 {
                // HTTP/2, without any request (RFC 9113, section 3.4: the preface and empty
                // settings).
                stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..SLOW {
        let mut truncated = TcpStream::connect(&address).unwrap();
        truncated.write_all(&post(&["Content-Type: application/json"], &[b' '; 1000])[..500]).unwrap();
    }
    let (small, large) = (small(), large());
    let case = |number: usize| match number % LARGE_EVERY {
        0 => &large[number / LARGE_EVERY % large.len()],
        _ => &small[number % small.len()],
    };
    let round = |numbers: std::ops::Range<usize>| {
        let next = AtomicUsize::new(numbers.start);
        std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= numbers.end {
                            break;
                        }
                        let (case, answer) = (case(number), send(&address, &case(number).request));
                        let status = answer.split(' ').nth(1).unwrap_or_default();
                        // A sender whose connection is closed while it still writes may never see
                        // the response.
                        assert!(
                            status == case.status || (status.is_empty() && case.request.len() > 1 << 20),
                            "{number}: {answer}"
                        );
                        let reason = answer.split_once("\r\n\r\n").is_some_and(|(_, body)| !body.is_empty());
                        assert!(
                            case.counted.is_none() || status.is_empty() || reason || answer.contains("grpc-message: "),
                            "{number} gets no reason: {answer}"
                        );
                    }
                });
            }
        });
    };
    // The first round brings memory to its working level.
    round(0..REQUESTS / 10);
    let before = private_memory(agent.id());
    round(REQUESTS / 10..REQUESTS);
    let after = private_memory(agent.id());
    assert!(after <= before + MAX_GROWTH, "{before} MiB before, {after} MiB after");

    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for counted in (0..REQUESTS).filter_map(|number| case(number).counted) {
        *expected.entry(counted.to_owned()).or_default() += 1;
    }
    // The truncated requests.
    *expected.entry("malformed".to_owned()).or_default() += SLOW as u64;
    wait_for("every refusal to be counted", || {
        let mut refused = refused(&env);
        refused.remove("slow");
        (refused == expected).then_some(())
    });
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert_eq!(refused(&env)["slow"], SLOW as u64);
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        // Closed or reset: an HTTP/2 client that does not respond is reset.
        let end = stream.read_to_end(&mut Vec::new());
        assert!(end.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true), "{end:?}");
    }
    let good = send(&address, &post(&["Content-Type: application/json"], b"{\"resourceSpans\":[]}"));
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    assert!(agent.stop());
}
