//! Scenario: a server gives each answer that a collector can give. Line by line, the effect on the
//! batch is that of the table in docs/intended-behaviour.md, section "Delivery".

use std::collections::VecDeque;
use std::time::Instant as Clock;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use super::*;

/// The effect of an answer on a batch of two records.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    /// Delivered, except for the rejected records.
    Done { rejected: u64 },
    /// The same request is sent once more, at the earliest after this time.
    Again { after: Duration },
    /// The batch stays in the queue, and the lane reports wrong settings.
    Held,
    /// Two requests with one record each follow.
    Halved,
    /// The batch is dropped and counted.
    Dropped,
}
use Effect::{Again, Done, Dropped, Halved, Held};

const SOON: Effect = Again { after: Duration::ZERO };
const AS_REQUESTED: Effect = Again { after: Duration::from_secs(1) };

/// The requests that arrived: number of records, and time.
type Seen = Arc<Mutex<Vec<(usize, Clock)>>>;

/// Runs a lane with one batch against a server, and checks the effect of the answer.
async fn check(name: &str, settings: CollectorSettings, seen: &Seen, effect: Effect) {
    let dir = tempfile::tempdir().unwrap();
    let opened = Queue::open(&dir.path().join("queue.db"), &QueueSettings::default(), Compression::Gzip).unwrap();
    let queue = opened.queue;
    queue.append(new_batch(2)).await.unwrap();
    let clients = Clients::new(&settings).unwrap();
    let exporter = Exporter::start(&queue, &clients, &Pause::default(), &schedule(), |_| ExportDuration::default());
    if effect == Held {
        let (_, mut delivery) = exporter.watch().into_iter().find(|(signal, _)| *signal == Signal::Logs).unwrap();
        let held = delivery.wait_for(|delivery| delivery.state == LaneState::Held);
        let is_held = tokio::time::timeout(TIMEOUT, held).await.is_ok();
        assert!(is_held, "{name}: {:?}", delivery.borrow());
        assert_eq!(queue.watch().borrow().logs.items, 2, "{name}");
    } else {
        let mut stats = queue.watch();
        let empty = stats.wait_for(|stats| stats.batches() == 0);
        let is_empty = tokio::time::timeout(TIMEOUT, empty).await.is_ok();
        assert!(is_empty, "{name}: {:?}", stats.borrow());
    }
    let counted = |counter: &str| queue.watch().borrow().counters.get(counter).copied().unwrap_or_default();
    let figures = (counted("delivered.logs"), counted("rejected.logs"), counted("dropped.logs.refused"));
    let seen = seen.lock().clone();
    let records: Vec<usize> = seen.iter().map(|(records, _)| *records).collect();
    let (expected_figures, expected_records) = match effect {
        Done { rejected } => ((2 - rejected, rejected, 0), vec![2]),
        Again { .. } => ((2, 0, 0), vec![2, 2]),
        Held => ((0, 0, 0), vec![2]),
        Halved => ((2, 0, 0), vec![2, 1, 1]),
        Dropped => ((0, 0, 2), vec![2]),
    };
    assert_eq!((figures, records), (expected_figures, expected_records), "{name}: {effect:?}");
    if let Again { after } = effect {
        assert!(seen[1].1.duration_since(seen[0].1) >= after, "{name}: {seen:?}");
    }
    exporter.stop(TIMEOUT).await;
}

/// Starts an HTTP server that sends these bytes as its first answer (none: it closes the
/// connection), and accepts every request after that.
async fn http_server(first: String) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let (arrived, mut answers) = (Arc::clone(&seen), VecDeque::from([first]));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (head, body) = read_request(&mut stream).await;
            assert!(head.starts_with("POST /v1/logs HTTP/1.1"), "{head}");
            let plain = crate::otlp::compression::decompress(Compression::Gzip, &body, 1 << 20).unwrap();
            let request = ExportLogsServiceRequest::decode(plain.as_slice()).unwrap();
            arrived.lock().push((request.resource_logs[0].scope_logs[0].log_records.len(), Clock::now()));
            let accepted = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
            let answer = answers.pop_front().unwrap_or(accepted);
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, seen)
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> (String, Vec<u8>) {
    let mut all = Vec::new();
    loop {
        let read = stream.read_buf(&mut all).await.unwrap();
        let end = all.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let head = String::from_utf8_lossy(&all[..end.unwrap_or_default()]).into_owned();
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<usize>().ok()
        });
        match (end, length) {
            (Some(end), Some(length)) if all.len() >= end + length => return (head, all[end..].to_vec()),
            _ => assert!(read > 0, "the request is truncated: {head}"),
        }
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> String {
    let body = String::from_utf8(body.to_vec()).unwrap();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Guarantees: every answer over HTTP has the effect in the table, on the batch and on the requests
/// that the server receives.
#[tokio::test]
async fn http_answer_has_effect_in_table() {
    let retry = "Retry-After: 1\r\n";
    let date = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    let at_date = format!("Retry-After: {date}\r\n");
    let partial = rejecting(1).encode_to_vec();
    let warning = rejecting(0).encode_to_vec();
    let rows = [
        ("200", answer("200 OK", "", b""), Done { rejected: 0 }),
        ("202", answer("202 Accepted", "", b""), Done { rejected: 0 }),
        ("200, one record rejected", answer("200 OK", "", &partial), Done { rejected: 1 }),
        ("200, with a warning", answer("200 OK", "", &warning), Done { rejected: 0 }),
        ("429", answer("429 Too Many Requests", "", b""), SOON),
        ("429, in a second", answer("429 Too Many Requests", retry, b""), AS_REQUESTED),
        ("502", answer("502 Bad Gateway", "", b""), SOON),
        ("503, at a time", answer("503 Service Unavailable", &at_date, b""), AS_REQUESTED),
        ("504", answer("504 Gateway Timeout", "", b""), SOON),
        ("no answer", String::new(), SOON),
        ("a truncated answer", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned(), SOON),
        ("302", answer("302 Found", "Location: /elsewhere\r\n", b""), Held),
        ("401", answer("401 Unauthorized", "", b""), Held),
        ("403", answer("403 Forbidden", "", b""), Held),
        ("404", answer("404 Not Found", "", b""), Held),
        ("405", answer("405 Method Not Allowed", "", b""), Held),
        ("407", answer("407 Proxy Authentication Required", "", b""), Held),
        ("a web page", answer("200 OK", "Content-Type: text/html\r\n", b"<html>"), Held),
        ("413", answer("413 Content Too Large", "", b""), Halved),
        ("400", answer("400 Bad Request", "", b"no"), Dropped),
        ("400, in a second", answer("400 Bad Request", retry, b"no"), Dropped),
        ("422", answer("422 Unprocessable Content", "", b""), Dropped),
        ("500", answer("500 Internal Server Error", "", b""), Dropped),
        ("501", answer("501 Not Implemented", "", b""), Dropped),
    ];
    let mut checks = JoinSet::new();
    for (name, first, effect) in rows {
        checks.spawn(async move {
            let (address, seen) = http_server(first).await;
            check(name, http(address), &seen, effect).await;
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked.unwrap();
    }
}

/// Guarantees: every answer over gRPC has the effect in the table.
#[tokio::test]
async fn grpc_answer_has_effect_in_table() {
    use tonic::Code;
    let status = |code: Code| Err(Status::new(code, "no"));
    let retry_info = |code: Code| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        Err(Status::with_error_details(code, "later", details))
    };
    let too_large = "grpc: received message larger than max (5000000 vs. 4194304)";
    let rows = [
        ("OK", Ok(ExportLogsServiceResponse::default()), Done { rejected: 0 }),
        ("OK, one record rejected", Ok(rejecting(1)), Done { rejected: 1 }),
        ("OK, with a warning", Ok(rejecting(0)), Done { rejected: 0 }),
        ("CANCELLED", status(Code::Cancelled), SOON),
        ("DEADLINE_EXCEEDED", status(Code::DeadlineExceeded), SOON),
        ("ABORTED", status(Code::Aborted), SOON),
        ("OUT_OF_RANGE", status(Code::OutOfRange), SOON),
        ("UNAVAILABLE", status(Code::Unavailable), SOON),
        ("UNAVAILABLE, in a second", retry_info(Code::Unavailable), AS_REQUESTED),
        ("DATA_LOSS", status(Code::DataLoss), SOON),
        ("RESOURCE_EXHAUSTED, in a second", retry_info(Code::ResourceExhausted), AS_REQUESTED),
        ("RESOURCE_EXHAUSTED", status(Code::ResourceExhausted), Dropped),
        ("RESOURCE_EXHAUSTED, too large", Err(Status::resource_exhausted(too_large)), Halved),
        ("UNAUTHENTICATED", status(Code::Unauthenticated), Held),
        ("PERMISSION_DENIED", status(Code::PermissionDenied), Held),
        ("UNIMPLEMENTED", status(Code::Unimplemented), Held),
        ("UNKNOWN", status(Code::Unknown), Dropped),
        ("INVALID_ARGUMENT", status(Code::InvalidArgument), Dropped),
        ("NOT_FOUND", status(Code::NotFound), Dropped),
        ("ALREADY_EXISTS", status(Code::AlreadyExists), Dropped),
        ("FAILED_PRECONDITION", status(Code::FailedPrecondition), Dropped),
        ("INTERNAL", status(Code::Internal), Dropped),
    ];
    let mut checks = JoinSet::new();
    for (name, first, effect) in rows {
        checks.spawn(async move {
            let seen = Seen::default();
            let (arrived, mut first) = (Arc::clone(&seen), Some(first));
            let address = grpc_server(move |request| {
                arrived.lock().push((request.resource_logs[0].scope_logs[0].log_records.len(), Clock::now()));
                first.take().unwrap_or(Ok(ExportLogsServiceResponse::default()))
            })
            .await;
            check(name, grpc(address), &seen, effect).await;
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked.unwrap();
    }
}
