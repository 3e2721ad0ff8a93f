//! Scenario: requests reach the limits for size, memory, compression and connections.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
};

use super::*;
use crate::sources::receiver::body::{MAX_BODY_BYTES, MAX_BUFFERED_BYTES};
use crate::sources::receiver::prepare::{MAX_BATCH_BYTES, MAX_REQUEST_BYTES};
use crate::sources::receiver::serve::MAX_CONNECTIONS;

/// Guarantees: a request that would need much more memory than its size is rejected before it is
/// decoded, in every format. So is one whose resources would become too large by the added
/// attributes.
#[tokio::test]
async fn requests_with_many_small_parts_are_rejected() {
    let env = TestEnv::with_allowed_origin();
    let (json, protobuf) = ("Content-Type: application/json", "Content-Type: application/x-protobuf");
    let list = |element: &str| {
        let count = MAX_BODY_BYTES / 2 / element.len();
        [r#"{"resourceSpans":["#, &vec![element; count].join(","), "]}"].concat().into_bytes()
    };
    let buckets = Buckets { offset: 0, bucket_counts: vec![0; 8_000_000] };
    let point = ExponentialHistogramDataPoint { positive: Some(buckets), ..ExponentialHistogramDataPoint::default() };
    let data = Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], ..Default::default() });
    let scope = ScopeMetrics { metrics: vec![Metric { data: Some(data), ..Metric::default() }], ..Default::default() };
    let of_resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let numbers = ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }.encode_to_vec();
    let cases = [
        ("traces", protobuf, b"\x0a\x04\x12\x02\x12\x00".repeat(500_000)),
        ("traces", protobuf, b"\x0a\x00".repeat(4_000_000)),
        ("metrics", protobuf, numbers),
        ("traces", json, list("{}")),
        ("traces", json, list(r#"{"scopeSpans":[{"spans":[{},{},{},{}]}]}"#)),
    ];
    for (signal, kind, body) in cases {
        let answer = env.post(&format!("/v1/{signal}"), &[kind], &body).await;
        assert_eq!(status_of(&answer), "413", "{answer}");
        assert!(answer.contains("too many parts"), "{answer}");
    }
    assert_eq!(env.receiver.status().refused, [("too_large".to_owned(), 5)].into());
    env.stop().await;
}

/// Guarantees: a request that is larger than collectors accept is split before it is acknowledged.
/// Every item is queued once, every part has its resource, and no part is too large.
#[tokio::test]
async fn large_requests_are_split_before_acknowledgement() {
    let env = TestEnv::with_allowed_origin();
    let long = "x".repeat(1000);
    let spans: Vec<Value> =
        (0..7000).map(|number| span(&format!("{number:05}"), &[("note", &long)], 1, false)).collect();
    let body = trace(&[("tracingAppName", "blotter")], &spans);
    let compressed = compression::compress(Compression::Zstd, &body).unwrap();
    assert!(body.len() > 2 * MAX_BATCH_BYTES && body.len() < MAX_REQUEST_BYTES);
    let headers = ["Content-Type: application/json", "Content-Encoding: zstd"];
    let answer = env.post("/v1/traces", &headers, &compressed).await;
    assert_eq!(status_of(&answer), "200", "{answer}");
    assert_eq!(env.receiver.status().taken[&Signal::Traces], 7000);
    let mut names = Vec::new();
    let mut parts = 0;
    while env.queue.next(Signal::Traces).await.is_some() {
        let payload = env.queued(Signal::Traces).await;
        assert!(payload.len() <= MAX_BATCH_BYTES, "{} bytes", payload.len());
        let part = ExportTraceServiceRequest::decode(payload.as_slice()).unwrap();
        let resource = attributes_of(part.resource_spans[0].resource.as_ref());
        assert!(resource["ioconnect.app.name"].contains("blotter"), "{resource:?}");
        let scopes = part.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        names.extend(scopes.flat_map(|of| of.spans).map(|span| span.name));
        parts += 1;
    }
    assert!(parts > 2, "{parts} parts");
    assert_eq!(names, (0..7000).map(|number| format!("{number:05}")).collect::<Vec<_>>());
    env.stop().await;
}

/// Guarantees: both ports together accept at most 256 connections. One more is answered when
/// another one closes.
#[tokio::test]
async fn connections_are_limited_to_256() {
    let env = TestEnv::with_allowed_origin();
    let grpc = env.receiver.status().grpc.unwrap();
    let grpc: SocketAddr = grpc.strip_prefix("http://").unwrap().parse().unwrap();
    let addresses = [env.http, grpc];
    let answered = tokio::task::spawn_blocking(move || {
        let ask = |stream: &mut TcpStream| {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        };
        let is_running = |stream: &mut TcpStream, limit: Duration| {
            stream.set_read_timeout(Some(limit)).unwrap();
            stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0)
        };
        let limit = Duration::from_mins(1);
        let mut all: Vec<TcpStream> = (0..MAX_CONNECTIONS)
            .map(|number| {
                let mut stream = TcpStream::connect(addresses[number % 2]).unwrap();
                ask(&mut stream);
                assert!(is_running(&mut stream, limit), "number {number}");
                stream
            })
            .collect();
        let mut more = TcpStream::connect(addresses[0]).unwrap();
        ask(&mut more);
        let early = is_running(&mut more, Duration::from_millis(300));
        drop(all.pop());
        (early, is_running(&mut more, limit))
    });
    assert_eq!(answered.await.unwrap(), (false, true));
    env.stop().await;
}

/// Guarantees: gzip and zstd are accepted, over HTTP and gRPC. A zstd frame with a window of
/// gigabytes is rejected.
#[tokio::test]
async fn gzip_and_zstd_requests_are_accepted() {
    let env = TestEnv::with_allowed_origin();
    let body = trace(&[], &[span("compressed", &[], 1, false)]);
    let sent =
        ExportTraceServiceRequest::decode(crate::otlp::from_json::to_protobuf(&body).unwrap().1.as_slice()).unwrap();
    for (of, grpc) in [(Compression::Gzip, CompressionEncoding::Gzip), (Compression::Zstd, CompressionEncoding::Zstd)] {
        for (kind, plain) in [("json", &body), ("x-protobuf", &sent.encode_to_vec())] {
            let kind = format!("Content-Type: application/{kind}");
            let encoding = format!("Content-Encoding: {}", of.token());
            let answer = env.post("/v1/traces", &[&kind, &encoding], &compression::compress(of, plain).unwrap()).await;
            assert_eq!(status_of(&answer), "200", "{answer}");
        }
        let client = TraceServiceClient::connect(format!("http://{}", env.http)).await.unwrap();
        client.send_compressed(grpc).export(sent.clone()).await.unwrap();
        for _ in 0..3 {
            assert!(String::from_utf8_lossy(&env.queued(Signal::Traces).await).contains("compressed"));
        }
    }
    // A frame with a window of 2 GiB (RFC 8878, section 3.1.1.1.2), and an empty raw block.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
    let headers = ["Content-Type: application/x-protobuf", "Content-Encoding: zstd"];
    let answer = env.post("/v1/traces", &headers, frame).await;
    assert!(status_of(&answer) == "400" && answer.contains("memory"), "{answer}");
    env.stop().await;
}

/// Guarantees: when the body budget is used up, further requests are rejected over HTTP and gRPC
/// with a retry time, and the requests in progress are accepted.
#[tokio::test]
async fn used_up_body_budget_rejects_requests_with_retry_time() {
    let env = TestEnv::with_allowed_origin();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {MAX_BODY_BYTES}\r\n\r\n"
    );
    let address = env.http;
    let count = MAX_BUFFERED_BYTES / MAX_BODY_BYTES;
    let senders: Vec<TcpStream> = tokio::task::spawn_blocking(move || {
        let start = |_| {
            let mut sender = TcpStream::connect(address).unwrap();
            sender.write_all(head.as_bytes()).unwrap();
            sender.write_all(&vec![b' '; MAX_BODY_BYTES - 2]).unwrap();
            sender
        };
        (0..count).map(start).collect()
    })
    .await
    .unwrap();
    let body = trace(&[], &[span("late", &[("note", &"x".repeat(64 << 10))], 1, false)]);
    let started = std::time::Instant::now();
    // The receiver does not read everything at once.
    while env.receiver.ingest.body_budget().free() > 2 * count {
        assert!(started.elapsed() < Duration::from_mins(1), "the budget is not used up");
        tokio::task::yield_now().await;
    }
    let refused = env.post("/v1/traces", &["Content-Type: application/json"], &body).await;
    assert_eq!(status_of(&refused), "429", "{refused}");
    assert!(refused.contains("retry-after: 5\r\n") && refused.contains("too much data"), "{refused}");
    let sent =
        ExportTraceServiceRequest::decode(crate::otlp::from_json::to_protobuf(&body).unwrap().1.as_slice()).unwrap();
    let mut client = TraceServiceClient::connect(format!("http://{address}")).await.unwrap();
    let busy = client.export(sent).await.unwrap_err();
    assert_eq!(busy.code(), tonic::Code::ResourceExhausted, "{busy}");
    assert!(tonic_types::StatusExt::get_details_retry_info(&busy).is_some(), "{busy}");
    let answers = tokio::task::spawn_blocking(move || {
        let finish = |mut sender: TcpStream| {
            sender.write_all(b"{}").unwrap();
            let mut answer = String::new();
            sender.read_to_string(&mut answer).unwrap();
            answer
        };
        senders.into_iter().map(finish).collect::<Vec<_>>()
    });
    for answer in answers.await.unwrap() {
        assert_eq!(status_of(&answer), "200", "{answer}");
    }
    env.stop().await;
}
