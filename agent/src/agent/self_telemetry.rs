//! Metrics of the agent itself, out of its status: what the collector sees is what the tray shows.
//!
//! Counters of the queue outlive the program, those of metrics begin with it: what was counted
//! before is taken off. Until the queue's file can be read that is not known, and nothing is told
//! of it.

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

/// What `otel.component.type` says of the queue.
const QUEUE_TYPE: &str = "insights_agent_queue";

/// Gives the status; none once the agent has ended.
pub(super) type Look = Arc<dyn Fn() -> Option<Status> + Send + Sync>;

/// What is told, and since when.
#[derive(Clone)]
struct Told {
    look: Look,
    /// The queue's counters when they were first known.
    before: Arc<OnceLock<BTreeMap<String, u64>>>,
}

impl Told {
    /// What one of the queue's counters has counted since the start.
    fn since_start(&self, status: &Status, name: &str) -> Option<u64> {
        let now = status.queue.counters.get(name).copied().unwrap_or_default();
        let before = self.before.get()?.get(name).copied().unwrap_or_default();
        Some(now.saturating_sub(before))
    }

    fn whole(&self, meter: &Meter, metric: &Metric, observe: fn(&Self, &Status, &dyn AsyncInstrument<u64>)) {
        let told = self.clone();
        metric.observe_u64(meter, move |observer| {
            let Some(status) = (told.look)().filter(|status| status.queue_is_known) else { return };
            told.before.get_or_init(|| status.queue.counters.clone());
            observe(&told, &status, observer);
        });
    }
}

/// Makes the instruments with `provider`. `before` are the queue's counters, if they are known
/// already.
pub(super) fn start(
    provider: &impl MeterProvider,
    collector: &CollectorSettings,
    queue_limit: u64,
    before: Option<BTreeMap<String, u64>>,
    look: Look,
) {
    let meter = metrics::meter(provider, metrics::INTERNAL_SCOPE);
    let told = Told { look, before: before.map(OnceLock::from).unwrap_or_default().into() };
    observe_exporters(&meter, &told, collector);
    observe_queue(&meter, &told, queue_limit);
    told.whole(&meter, &metrics::DROPPED, |told, status, observer| {
        let reasons = DropReason::ALL.map(DropReason::name);
        let queue = Signal::ALL.into_iter().flat_map(|signal| reasons.map(|reason| (signal, reason)));
        let of_logs = [LogCounter::Filtered, LogCounter::Sampled, LogCounter::RateLimited].map(LogCounter::name);
        let logs = of_logs.into_iter().filter_map(|name| Some((Signal::Logs, name.rsplit_once('.')?.1)));
        for (signal, reason) in queue.chain(logs) {
            let dropped = told.since_start(status, &format!("dropped.{signal}.{reason}"));
            if let Some(items @ 1..) = dropped {
                observer.observe(items, &[of(signal), KeyValue::new(metrics::DROP_REASON.name, reason)]);
            }
        }
    });
    told.whole(&meter, &metrics::LOGS_READ, |told, status, observer| {
        told.since_start(status, LogCounter::Read.name()).inspect(|records| observer.observe(*records, &[]));
    });
    told.whole(&meter, &metrics::LOGS_BEHIND, |_, status, observer| {
        observer.observe(status.logs.reading.behind_bytes, &[]);
    });
    told.whole(&meter, &metrics::RECEIVED, |_, status, observer| {
        for (signal, items) in status.receiver.iter().flat_map(|receiver| &receiver.taken) {
            observer.observe(*items, &[of(*signal)]);
        }
    });
    told.whole(&meter, &metrics::RECEIVER_REFUSED, |_, status, observer| {
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

fn observe_exporters(meter: &Meter, told: &Told, collector: &CollectorSettings) {
    let exported = [
        (Signal::Metrics, metrics::EXPORTED_METRICS),
        (Signal::Traces, metrics::EXPORTED_TRACES),
        (Signal::Logs, metrics::EXPORTED_LOGS),
    ];
    for (signal, metric) in exported {
        let (told, common) = (told.clone(), exporter(collector, signal));
        metric.observe_u64(meter, move |observer| {
            let Some(status) = (told.look)() else { return };
            let delivery = status.collector.of(signal);
            observer.observe(delivery.acknowledged_items, &common);
            let failed = |reason: DropReason| {
                (reason.name(), told.since_start(&status, &format!("dropped.{signal}.{}", reason.name())))
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

fn observe_queue(meter: &Meter, told: &Told, limit: u64) {
    told.whole(meter, &metrics::QUEUED_TRACES, |_, status, observer| {
        observer.observe(status.queue.traces.items, &component(QUEUE_TYPE));
    });
    told.whole(meter, &metrics::QUEUED_LOGS, |_, status, observer| {
        observer.observe(status.queue.logs.items, &component(QUEUE_TYPE));
    });
    told.whole(meter, &metrics::QUEUE_REQUESTS, |_, status, observer| {
        for signal in Signal::ALL {
            observer.observe(status.queue.of(signal).batches, &[of(signal)]);
        }
    });
    told.whole(meter, &metrics::QUEUE_USAGE, |_, status, observer| {
        for signal in Signal::ALL {
            observer.observe(status.queue.of(signal).bytes, &[of(signal)]);
        }
    });
    metrics::QUEUE_LIMIT.observe_u64(meter, move |observer| observer.observe(limit, &[]));
    let told = told.clone();
    metrics::QUEUE_AGE.observe_f64(meter, move |observer| {
        let Some(status) = (told.look)() else { return };
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

/// What is said of the exporter of a signal (OpenTelemetry's semantic conventions, attribute
/// `otel.component.type`).
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
