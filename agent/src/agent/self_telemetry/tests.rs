//! The instruments through the SDK, out of a status that the test makes.

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
    // What failed is a point of its own, beside what did not.
    let of_failures = attributes.iter().any(|(key, _)| *key == "error.type");
    let fits = |point: &&Point| {
        attributes.iter().all(|(key, value)| point.attributes.get(*key).is_some_and(|of| of == value))
            && point.attributes.contains_key("error.type") == of_failures
    };
    points.iter().filter(|point| point.name == name).find(fits).map(|point| point.value)
}

/// Guarantees: the metrics say what the status says, named as the table has it; what the queue
/// counted before the start is not in them; an agent that has ended tells nothing of its queue any
/// more.
#[test]
fn the_metrics_say_what_the_status_says() {
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
    let told = Arc::new(Mutex::new(Some(status)));
    let look = Arc::clone(&told);
    let exports = Exports::new();
    let collector = CollectorSettings::default();
    start(&exports.provider, &collector, 1 << 20, Some(before), Arc::new(move || look.lock().clone()));

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
    assert_eq!(of("insights.agent.queue.age", &[("insights.agent.signal", "metrics")]), None, "nothing waits");
    assert!(of("insights.agent.process.memory.usage", &[]).is_some_and(|bytes| bytes > 1e6), "{points:?}");
    assert!(of("insights.agent.process.cpu.time", &[]).is_some(), "{points:?}");

    *told.lock() = None;
    let points = exports.export();
    assert_eq!(value(&points, "otel.sdk.exporter.log.exported", &[]), None, "{points:?}");
}

/// Guarantees: while the queue's file cannot be read, nothing is told of what it counted; from then
/// on only what came later is.
#[test]
fn counters_begin_when_they_are_known() {
    let mut status = Status { queue_is_known: false, ..snapshot() };
    status.queue = QueueStats { counters: counters(&[("read.logs", 3)]), ..QueueStats::default() };
    let told = Arc::new(Mutex::new(status));
    let look = Arc::clone(&told);
    let exports = Exports::new();
    start(&exports.provider, &CollectorSettings::default(), 1, None, Arc::new(move || Some(look.lock().clone())));
    let read = |exports: &Exports| value(&exports.export(), "insights.agent.logs.read", &[]);
    assert_eq!(read(&exports), None);
    told.lock().queue_is_known = true;
    told.lock().queue.counters = counters(&[("read.logs", 1000)]);
    assert_eq!(read(&exports), Some(0.0));
    told.lock().queue.counters = counters(&[("read.logs", 1010)]);
    assert_eq!(read(&exports), Some(10.0));
}
