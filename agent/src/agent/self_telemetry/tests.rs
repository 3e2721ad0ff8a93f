//! Scenario: a status is exported as metrics through the OpenTelemetry SDK.

use parking_lot::Mutex;

use super::*;
use crate::pipeline::queue::{QueueStats, SignalStats};
use crate::sources::host::tests::{Exports, Point, assert_as_documented};
use crate::sources::receiver::ReceiverStatus;
use crate::status::tests::snapshot;

fn counters(counted: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counted.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

fn value(points: &[Point], name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
    // Failed items are a separate data point with `error.type`.
    let of_failures = attributes.iter().any(|(key, _)| *key == "error.type");
    let fits = |point: &&Point| {
        attributes.iter().all(|(key, value)| point.attributes.get(*key).is_some_and(|of| of == value))
            && point.attributes.contains_key("error.type") == of_failures
    };
    points.iter().filter(|point| point.name == name).find(fits).map(|point| point.value)
}

/// Guarantees: the metrics have the values of the status and the documented names. Counts from
/// before the start are not included. After the agent has ended, no queue metrics are exported.
#[test]
fn metrics_have_the_values_of_the_status() {
    let mut status = snapshot();
    let now = status.taken_unix_ms;
    status.collector.logs.acknowledged_items = 90;
    status.collector.logs.rejected_items = 4;
    status.queue.counters = counters(&[("dropped.logs.refused", 12), ("read.logs", 1100), ("dropped.metrics.full", 5)]);
    status.queue.logs = SignalStats { batches: 2, items: 30, bytes: 4000, oldest_unix_ms: Some(now - 9_000) };
    status.logs.reading.behind_bytes = 77;
    status.receiver = Some(ReceiverStatus {
        taken: [(Signal::Traces, 8)].into(),
        refused: [("origin".to_owned(), 3)].into(),
        ..ReceiverStatus::default()
    });
    let before = counters(&[("dropped.logs.refused", 10), ("read.logs", 1000)]);
    let current = Arc::new(Mutex::new(Some(status)));
    let shared = Arc::clone(&current);
    let exports = Exports::new();
    let collector = CollectorSettings::default();
    start(&exports.provider, &collector, 1 << 20, Some(before), Arc::new(move || shared.lock().clone()));

    let points = exports.export();
    assert_as_documented(&points);
    let of = |name, attributes: &[(&str, &str)]| value(&points, name, attributes);
    let exporter = [("otel.component.type", "otlp_grpc_log_exporter"), ("server.address", "localhost")];
    for (name, attributes, expected) in [
        ("otel.sdk.exporter.log.exported", exporter.as_slice(), 90.0),
        ("otel.sdk.exporter.log.exported", &[("error.type", "rejected")], 4.0),
        ("otel.sdk.exporter.log.exported", &[("error.type", "refused")], 2.0),
        ("otel.sdk.exporter.span.exported", &[("server.port", "4317")], 0.0),
        ("otel.sdk.processor.log.queue.size", &[("otel.component.name", "insights_agent_queue/0")], 30.0),
        ("insights.agent.queue.requests", &[("insights.agent.signal", "logs")], 2.0),
        ("insights.agent.queue.usage", &[("insights.agent.signal", "logs")], 4000.0),
        ("insights.agent.queue.limit", &[], 1_048_576.0),
        ("insights.agent.queue.age", &[("insights.agent.signal", "logs")], 9.0),
        (
            "insights.agent.dropped",
            &[("insights.agent.drop.reason", "full"), ("insights.agent.signal", "metrics")],
            5.0,
        ),
        ("insights.agent.logs.read", &[], 100.0),
        ("insights.agent.logs.behind", &[], 77.0),
        ("insights.agent.receiver.accepted", &[("insights.agent.signal", "traces")], 8.0),
        ("insights.agent.receiver.refused", &[("insights.agent.receiver.reason", "origin")], 3.0),
    ] {
        assert_eq!(of(name, attributes), Some(expected), "{name} {attributes:?} in {points:?}");
    }
    assert_eq!(of("insights.agent.queue.age", &[("insights.agent.signal", "metrics")]), None, "the queue is empty");
    assert!(of("insights.agent.process.memory.usage", &[]).is_some_and(|bytes| bytes > 1e6), "{points:?}");
    assert!(of("insights.agent.process.cpu.time", &[]).is_some(), "{points:?}");

    *current.lock() = None;
    let points = exports.export();
    assert_eq!(value(&points, "otel.sdk.exporter.log.exported", &[]), None, "{points:?}");
}

/// Guarantees: while the queue file cannot be read, its counters are not exported; afterwards only
/// the increase since then is.
#[test]
fn counters_are_exported_once_the_queue_file_is_readable() {
    let mut status = Status { queue_is_known: false, ..snapshot() };
    status.queue = QueueStats { counters: counters(&[("read.logs", 3)]), ..QueueStats::default() };
    let current = Arc::new(Mutex::new(status));
    let shared = Arc::clone(&current);
    let exports = Exports::new();
    start(&exports.provider, &CollectorSettings::default(), 1, None, Arc::new(move || Some(shared.lock().clone())));
    let read = |exports: &Exports| value(&exports.export(), "insights.agent.logs.read", &[]);
    assert_eq!(read(&exports), None);
    current.lock().queue_is_known = true;
    current.lock().queue.counters = counters(&[("read.logs", 1000)]);
    assert_eq!(read(&exports), Some(0.0));
    current.lock().queue.counters = counters(&[("read.logs", 1010)]);
    assert_eq!(read(&exports), Some(10.0));
}
