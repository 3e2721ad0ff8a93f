//! Metrics of the agent itself. They are read from its status, so the collector and the tray show
//! the same values.
//!
//! The queue's counters survive a restart, but an exported counter starts at zero with the process.
//! The counts at the start are therefore subtracted. They are unknown until the queue file can be
//! read; until then, metrics based on them are not exported.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};

use crate::config::{CollectorSettings, Protocol};
use crate::otlp::Signal;
use crate::pipeline::queue::{DropReason, LogCounter};
use crate::signals::metrics::{self, Metric};
use crate::sources::processes::own_usage;
use crate::status::Status;

/// Value of `otel.component.type` for the queue.
const QUEUE_TYPE: &str = "insights_agent_queue";

/// Returns the current status, or `None` once the agent has ended.
pub(super) type ReadStatus = Arc<dyn Fn() -> Option<Status> + Send + Sync>;

/// Source of the exported values.
#[derive(Clone)]
struct MetricSource {
    read_status: ReadStatus,
    /// The queue's counters when they were first known.
    counters_at_start: Arc<OnceLock<BTreeMap<String, u64>>>,
}

impl MetricSource {
    /// Returns the increase of a queue counter since the start.
    fn since_start(&self, status: &Status, name: &str) -> Option<u64> {
        let now = status.queue.counters.get(name).copied().unwrap_or_default();
        let before = self.counters_at_start.get()?.get(name).copied().unwrap_or_default();
        Some(now.saturating_sub(before))
    }

    /// Registers an integer metric that is observed while the queue's counters are known.
    fn observe_known(&self, meter: &Meter, metric: &Metric, observe: fn(&Self, &Status, &dyn AsyncInstrument<u64>)) {
        let source = self.clone();
        metric.observe_u64(meter, move |observer| {
            let Some(status) = (source.read_status)().filter(|status| status.queue_is_known) else { return };
            source.counters_at_start.get_or_init(|| status.queue.counters.clone());
            observe(&source, &status, observer);
        });
    }
}

/// Creates the instruments. `counters_at_start` are the queue's counters, if already known.
pub(super) fn start(
    provider: &impl MeterProvider,
    collector: &CollectorSettings,
    queue_limit: u64,
    counters_at_start: Option<BTreeMap<String, u64>>,
    read_status: ReadStatus,
) {
    let meter = metrics::meter(provider, metrics::INTERNAL_SCOPE);
    let counters_at_start = counters_at_start.map(OnceLock::from).unwrap_or_default().into();
    let source = MetricSource { read_status, counters_at_start };
    observe_exporters(&meter, &source, collector);
    observe_queue(&meter, &source, queue_limit);
    source.observe_known(&meter, &metrics::DROPPED, |source, status, observer| {
        let reasons = DropReason::ALL.map(DropReason::name);
        let queue = Signal::ALL.into_iter().flat_map(|signal| reasons.map(|reason| (signal, reason)));
        let of_logs = [LogCounter::Filtered, LogCounter::Sampled, LogCounter::RateLimited].map(LogCounter::name);
        let logs = of_logs.into_iter().filter_map(|name| Some((Signal::Logs, name.rsplit_once('.')?.1)));
        for (signal, reason) in queue.chain(logs) {
            let dropped = source.since_start(status, &format!("dropped.{signal}.{reason}"));
            if let Some(items @ 1..) = dropped {
                observer.observe(items, &[of(signal), KeyValue::new(metrics::DROP_REASON.name, reason)]);
            }
        }
    });
    source.observe_known(&meter, &metrics::LOGS_READ, |source, status, observer| {
        source.since_start(status, LogCounter::Read.name()).inspect(|records| observer.observe(*records, &[]));
    });
    source.observe_known(&meter, &metrics::LOGS_BEHIND, |_, status, observer| {
        observer.observe(status.logs.reading.behind_bytes, &[]);
    });
    source.observe_known(&meter, &metrics::RECEIVED, |_, status, observer| {
        for (signal, items) in status.receiver.iter().flat_map(|receiver| &receiver.taken) {
            observer.observe(*items, &[of(*signal)]);
        }
    });
    source.observe_known(&meter, &metrics::RECEIVER_REFUSED, |_, status, observer| {
        for (reason, requests) in status.receiver.iter().flat_map(|receiver| &receiver.refused) {
            observer.observe(*requests, &[KeyValue::new(metrics::REJECTION_REASON.name, reason.clone())]);
        }
    });
    metrics::OWN_CPU_TIME.observe_f64(&meter, |observer| {
        own_usage().inspect(|(cpu, _)| observer.observe(Duration::as_secs_f64(cpu), &[]));
    });
    metrics::OWN_MEMORY_USAGE.observe_u64(&meter, |observer| {
        own_usage().inspect(|(_, memory)| observer.observe(*memory, &[]));
    });
}

fn observe_exporters(meter: &Meter, source: &MetricSource, collector: &CollectorSettings) {
    let exported = [
        (Signal::Metrics, metrics::EXPORTED_METRICS),
        (Signal::Traces, metrics::EXPORTED_TRACES),
        (Signal::Logs, metrics::EXPORTED_LOGS),
    ];
    for (signal, metric) in exported {
        let (source, common) = (source.clone(), exporter(collector, signal));
        metric.observe_u64(meter, move |observer| {
            let Some(status) = (source.read_status)() else { return };
            let delivery = status.collector.of(signal);
            observer.observe(delivery.acknowledged_items, &common);
            let failed = |reason: DropReason| {
                (reason.name(), source.since_start(&status, &format!("dropped.{signal}.{}", reason.name())))
            };
            let rejected = ("rejected", Some(delivery.rejected_items));
            for (reason, items) in [rejected, failed(DropReason::Refused), failed(DropReason::TooLarge)] {
                if let Some(items @ 1..) = items {
                    let error = KeyValue::new(metrics::ERROR_TYPE.name, reason);
                    observer.observe(items, &[common.as_slice(), &[error]].concat());
                }
            }
        });
    }
}

fn observe_queue(meter: &Meter, source: &MetricSource, limit: u64) {
    source.observe_known(meter, &metrics::QUEUED_TRACES, |_, status, observer| {
        observer.observe(status.queue.traces.items, &component(QUEUE_TYPE));
    });
    source.observe_known(meter, &metrics::QUEUED_LOGS, |_, status, observer| {
        observer.observe(status.queue.logs.items, &component(QUEUE_TYPE));
    });
    source.observe_known(meter, &metrics::QUEUE_REQUESTS, |_, status, observer| {
        for signal in Signal::ALL {
            observer.observe(status.queue.of(signal).batches, &[of(signal)]);
        }
    });
    source.observe_known(meter, &metrics::QUEUE_USAGE, |_, status, observer| {
        for signal in Signal::ALL {
            observer.observe(status.queue.of(signal).bytes, &[of(signal)]);
        }
    });
    metrics::QUEUE_LIMIT.observe_u64(meter, move |observer| observer.observe(limit, &[]));
    let source = source.clone();
    metrics::QUEUE_AGE.observe_f64(meter, move |observer| {
        let Some(status) = (source.read_status)() else { return };
        for signal in Signal::ALL {
            if let Some(oldest) = status.queue.of(signal).oldest_unix_ms {
                let age = (status.taken_unix_ms - oldest).max(0);
                observer.observe(age as f64 / 1000.0, &[of(signal)]);
            }
        }
    });
}

fn of(signal: Signal) -> KeyValue {
    KeyValue::new(metrics::SIGNAL.name, signal.name())
}

fn component(kind: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new(metrics::COMPONENT_NAME.name, format!("{kind}/0")),
        KeyValue::new(metrics::COMPONENT_TYPE.name, kind.to_owned()),
    ]
}

/// Returns the attributes of a signal's exporter, as OpenTelemetry's semantic conventions define
/// them for `otel.component.type`.
#[must_use]
pub(super) fn exporter(collector: &CollectorSettings, signal: Signal) -> Vec<KeyValue> {
    let settings = collector.for_signal(signal);
    let protocol = match settings.protocol {
        Protocol::Grpc => "grpc",
        Protocol::HttpProtobuf => "http",
        Protocol::HttpJson => "http_json",
    };
    let items = match signal {
        Signal::Metrics => "metric",
        Signal::Traces => "span",
        Signal::Logs => "log",
    };
    let mut attributes = component(&format!("otlp_{protocol}_{items}_exporter"));
    let url = settings.endpoint.url();
    attributes.extend(url.host_str().map(|host| KeyValue::new(metrics::SERVER_ADDRESS.name, host.to_owned())));
    let port = url.port_or_known_default();
    attributes.extend(port.map(|port| KeyValue::new(metrics::SERVER_PORT.name, i64::from(port))));
    attributes
}

#[cfg(test)]
mod tests;
