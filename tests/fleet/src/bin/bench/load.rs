//! Measures the receiver under load: apps send log records and spans at a steady rate, over HTTP
//! with protobuf.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use insights_agent::sources::receiver::enrich::Enrichment;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::{Sink, Used, plain_env, row, until};

/// Items per request, and requests per second and sender.
const ITEMS: u64 = 100;
const A_SECOND: u64 = 50;
/// Number of senders of log records (20,000 per second in total) and of spans (5,000 per second).
const LOG_SENDERS: u64 = 4;
const SPAN_SENDERS: u64 = 1;
/// Number of different requests per sender.
const VARIANTS: u64 = 16;

/// Requests with a single span, as from an SDK without batching. Each one is written to disk before
/// it is acknowledged.
const SINGLES: u32 = 2000;
const SINGLE_SENDERS: u64 = 16;

/// Runs all measurements of the receiver.
pub(crate) fn all(time: Duration) {
    receiver(time);
    singles();
    enrichment();
}

/// Measures the enrichment of a request with the attributes of machine, user and session: 14, as
/// usual.
fn enrichment() {
    const ROUNDS: u32 = 20_000;
    let attributes = (0..14).map(|number| (format!("attribute.number.{number}"), "a usual value of one".to_owned()));
    let enrichment = Enrichment::from_attributes(attributes.collect());
    let request = spans(&mut fastrand::Rng::with_seed(7), ITEMS);
    let started = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(enrichment.apply(std::hint::black_box(&request)).unwrap());
    }
    let each = started.elapsed() / ROUNDS;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        let decoded = ExportTraceServiceRequest::decode(std::hint::black_box(request.as_slice())).unwrap();
        std::hint::black_box(decoded);
    }
    let decoding = started.elapsed() / ROUNDS;
    let microseconds = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    row("receiver: enrichment of a request of 100 spans", &microseconds(each), "");
    row("receiver: decoding it, for comparison", &microseconds(decoding), "");
}

/// Measures the requests with one span that are acknowledged per second.
fn singles() {
    let sink = Sink::default();
    let env = plain_env(&sink);
    let _agent = env.start();
    let address = env.status()["receiver"]["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let request = post(&address, "/v1/traces", &spans(&mut fastrand::Rng::with_seed(7), 1));
    let started = Instant::now();
    let senders: Vec<_> = (0..SINGLE_SENDERS)
        .map(|_| {
            let (address, request) = (address.clone(), request.clone());
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(&address).unwrap();
                stream.set_nodelay(true).unwrap();
                for _ in 0..SINGLES {
                    stream.write_all(&request).unwrap();
                    answer(&mut stream);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let a_second = f64::from(SINGLES) * SINGLE_SENDERS as f64 / started.elapsed().as_secs_f64();
    let what = format!("receiver: requests of one span, a second, of {SINGLE_SENDERS} senders");
    row(&what, &format!("{a_second:.0}"), "");
}

/// Sends for `time`, and waits until the last item has arrived.
fn receiver(time: Duration) {
    let sink = Sink::default();
    let env = plain_env(&sink);
    let _ = env.ok(&["logs", "share", "on"]);
    let agent = env.start();
    let address = env.status()["receiver"]["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let before = Used::by(agent.id());
    let count = LOG_SENDERS + SPAN_SENDERS;
    let senders: Vec<_> = (0..count)
        .map(|number| {
            let (address, is_of_logs) = (address.clone(), number < LOG_SENDERS);
            std::thread::spawn(move || send(&address, number, is_of_logs, time))
        })
        .collect();
    let mut times: Vec<Duration> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    times.sort();
    let after = Used::by(agent.id());
    let rounds = time.as_secs() * A_SECOND * ITEMS;
    until(&sink.records, rounds * LOG_SENDERS);
    until(&sink.spans, rounds * SPAN_SENDERS);
    let lost = |arrived: u64, sent: u64| sent.cast_signed() - arrived.cast_signed();
    let missing = lost(sink.records.load(Ordering::Relaxed), rounds * LOG_SENDERS)
        + lost(sink.spans.load(Ordering::Relaxed), rounds * SPAN_SENDERS);
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let name = format!("receiver: 20,000 records/s and 5,000 spans/s for {} s", time.as_secs());
    row(&format!("{name}: lost"), &missing.to_string(), "0");
    row("receiver: request to acknowledgement, median", &milliseconds(times[times.len() / 2]), "");
    row("receiver: request to acknowledgement, 99 of 100", &milliseconds(times[times.len() * 99 / 100]), "");
    row("receiver: request to acknowledgement, slowest", &milliseconds(times[times.len() - 1]), "");
    row("receiver: peak memory meanwhile (RSS)", &format!("{:.1} MB", Used::by(agent.id()).peak), "40 MB");
    let share = (after.cpu - before.cpu) / time.as_secs_f64();
    row("receiver: CPU of a core meanwhile", &format!("{:.0} %", share * 100.0), "");
}

/// Sends at a steady rate; returns the duration of each request.
fn send(address: &str, sender: u64, is_of_logs: bool, time: Duration) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(sender);
    let path = if is_of_logs { "/v1/logs" } else { "/v1/traces" };
    let requests: Vec<Vec<u8>> = (0..VARIANTS)
        .map(|_| {
            let body = if is_of_logs { logs(&mut random) } else { spans(&mut random, ITEMS) };
            post(address, path, &body)
        })
        .collect();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let started = Instant::now();
    let step = Duration::from_secs(1) / u32::try_from(A_SECOND).unwrap();
    let rounds = u32::try_from(time.as_secs() * A_SECOND).unwrap();
    (0..rounds)
        .map(|round| {
            std::thread::sleep((started + step * round).saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            stream.write_all(&requests[round as usize % requests.len()]).unwrap();
            answer(&mut stream);
            sent.elapsed()
        })
        .collect()
}

fn post(address: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads a response, which must have status 200 and a content length.
fn answer(stream: &mut TcpStream) {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the agent closed the connection");
        text.extend_from_slice(&buffer[..read]);
        let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if text.len() >= end + 4 + length.unwrap_or_default() {
            return;
        }
    }
}

fn text(text: String) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text)) }
}

fn attribute(key: &str, value: String) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

fn resource() -> Resource {
    Resource { attributes: vec![attribute("service.name", "blotter".to_owned())], ..Resource::default() }
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap()
}

fn logs(random: &mut fastrand::Rng) -> Vec<u8> {
    let log_records = (0..ITEMS)
        .map(|_| LogRecord {
            time_unix_nano: now(),
            severity_number: 9,
            body: Some(text(format!(
                "order {} for client {} was sent in {} ms",
                random.u32(..),
                random.u32(..5000),
                random.u32(..900)
            ))),
            attributes: vec![
                attribute("logger", "orders.gateway".to_owned()),
                attribute("desk", random.u8(..9).to_string()),
            ],
            ..LogRecord::default()
        })
        .collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn spans(random: &mut fastrand::Rng, items: u64) -> Vec<u8> {
    let spans = (0..items)
        .map(|_| Span {
            trace_id: random.u128(..).to_be_bytes().to_vec(),
            span_id: random.u64(..).to_be_bytes().to_vec(),
            name: "interopio.api.interop.invoke".to_owned(),
            start_time_unix_nano: now() - 1_000_000 * random.u64(..900),
            end_time_unix_nano: now(),
            attributes: vec![
                attribute("method", "T42.Orders.Find".to_owned()),
                attribute("id", random.u32(..).to_string()),
            ],
            ..Span::default()
        })
        .collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
