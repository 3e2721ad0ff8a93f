//! Metrics of this machine.
//!
//! One thread samples CPU and memory every `host.sample_interval` and adds up the time above the
//! thresholds, so that short peaks are visible although metrics are exported much less often. All
//! other values are read when an export starts.
//!
//! The instruments only pass on these values. They report nothing after the source has been
//! dropped, and nothing on a shared machine while another agent holds the leader lock
//! ([`leader_lock`]).

mod aggregate;
mod leader_lock;
mod machine;
mod readings;

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use parking_lot::Mutex;

use self::aggregate::{HostAggregate, Sample};
use self::leader_lock::LeaderLock;
use self::readings::{Readings, ReadingsCache};
use super::sampler::Sampler;
use super::{Source, SourceContext, SourceReports};
use crate::config::{HostSettings, Settings};
use crate::pause::Pause;
use crate::signals::metrics::{self, Metric};

pub(in crate::sources) use self::aggregate::MAX_GAP_INTERVALS;
pub use self::aggregate::{HostFigures, Space};
pub(crate) use self::machine::logical_cpus;
pub(in crate::sources) use self::readings::runs_on_battery;

/// The running source. Dropping it ends its thread within milliseconds and removes its metrics, so
/// shut down the meter provider first: its last export then still includes them.
#[derive(Debug)]
pub struct HostSource {
    aggregate: Arc<Mutex<HostAggregate>>,
    /// Kept alive for the instruments, which hold weak references.
    _readings: Arc<Mutex<ReadingsCache>>,
    _sampler: Sampler,
}

impl HostSource {
    /// Creates the instruments and starts sampling.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(provider: &impl MeterProvider, settings: &HostSettings, pause: &Pause) -> io::Result<Self> {
        let aggregate = Arc::new(Mutex::new(HostAggregate::new(settings)));
        let readings = Arc::new(Mutex::new(ReadingsCache::new()));

        let meter = metrics::meter(provider, metrics::HOST_SCOPE);
        let leader_lock = Arc::new(LeaderLock::new(settings.one_per_machine));
        observe_samples(&meter, &MetricSource::new(&aggregate, &leader_lock), settings);
        observe_readings(&meter, &MetricSource::new(&readings, &leader_lock), &leader_lock);

        let mut memory = machine::Memory::new();
        let sums = Arc::clone(&aggregate);
        let pause = pause.clone();
        let sampler = Sampler::start("host metrics", settings.sample_interval.get(), move || {
            if pause.is_on() {
                return;
            }
            let sample = Sample { at: Instant::now(), cpu: machine::cpu_times(), memory: memory.physical() };
            sums.lock().add(sample);
        })?;
        Ok(Self { aggregate, _readings: readings, _sampler: sampler })
    }

    /// Returns the latest figures.
    #[must_use]
    pub fn latest(&self) -> HostFigures {
        self.aggregate.lock().figures()
    }
}

#[async_trait]
impl Source for HostSource {
    fn is_enabled(settings: &Settings) -> bool {
        settings.host.enabled
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        Self::new(&context.provider, &context.settings.host, &context.pause)
    }

    fn report(&self, reports: &mut SourceReports) {
        reports.host = self.latest();
    }
}

/// Data that instruments read. Returns nothing once the source has been dropped, or while another
/// agent is the leader on this machine.
#[derive(Debug)]
struct MetricSource<T> {
    data: Weak<Mutex<T>>,
    leader_lock: Arc<LeaderLock>,
}

impl<T> Clone for MetricSource<T> {
    fn clone(&self) -> Self {
        Self { data: Weak::clone(&self.data), leader_lock: Arc::clone(&self.leader_lock) }
    }
}

impl<T> MetricSource<T> {
    fn new(data: &Arc<Mutex<T>>, leader_lock: &Arc<LeaderLock>) -> Self {
        Self { data: Arc::downgrade(data), leader_lock: Arc::clone(leader_lock) }
    }

    fn get(&self) -> Option<Arc<Mutex<T>>> {
        self.data.upgrade().filter(|_| self.leader_lock.is_leader())
    }
}

/// Registers the metrics that are computed from samples.
fn observe_samples(meter: &Meter, aggregate: &MetricSource<HostAggregate>, settings: &HostSettings) {
    let source = aggregate.clone();
    metrics::SYSTEM_CPU_UTILIZATION.observe_f64(meter, move |observer| {
        let mean = source.get().and_then(|aggregate| aggregate.lock().take_mean_cpu());
        mean.inspect(|mean| observer.observe(*mean, &[]));
    });

    let f64_figure =
        |metric: &Metric, observe: fn(&HostFigures, &dyn AsyncInstrument<f64>, &[KeyValue]), threshold: f64| {
            let source = aggregate.clone();
            let attributes = [KeyValue::new(metrics::THRESHOLD.name, threshold)];
            metric.observe_f64(meter, move |observer| {
                if let Some(aggregate) = source.get() {
                    let figures = aggregate.lock().figures();
                    observe(&figures, observer, &attributes);
                }
            });
        };
    f64_figure(
        &metrics::CPU_TIME_ABOVE_THRESHOLD,
        |figures, observer, attributes| observer.observe(figures.cpu_seconds_above, attributes),
        settings.cpu_threshold.get(),
    );
    f64_figure(
        &metrics::MEMORY_TIME_ABOVE_THRESHOLD,
        |figures, observer, attributes| observer.observe(figures.memory_seconds_above, attributes),
        settings.memory_threshold.get(),
    );

    let memory =
        |source: &MetricSource<HostAggregate>| source.get().and_then(|aggregate| aggregate.lock().figures().memory);
    let source = aggregate.clone();
    metrics::SYSTEM_MEMORY_USAGE.observe_u64(meter, move |observer| {
        memory(&source).inspect(|space| observe_states(observer, *space, metrics::MEMORY_STATE.name, &[]));
    });
    let source = aggregate.clone();
    metrics::SYSTEM_MEMORY_LIMIT.observe_u64(meter, move |observer| {
        memory(&source).inspect(|space| observer.observe(space.total, &[]));
    });
    let source = aggregate.clone();
    metrics::SYSTEM_MEMORY_UTILIZATION.observe_f64(meter, move |observer| {
        memory(&source).and_then(Space::utilization).inspect(|share| observer.observe(*share, &[]));
    });
}

/// Registers the metrics that are read at each export.
fn observe_readings(meter: &Meter, readings: &MetricSource<ReadingsCache>, leader_lock: &Arc<LeaderLock>) {
    let cpus = logical_cpus();
    let leader_lock = Arc::clone(leader_lock);
    metrics::SYSTEM_CPU_LOGICAL_COUNT.observe_u64(meter, move |observer| {
        cpus.filter(|_| leader_lock.is_leader()).inspect(|count| observer.observe(*count, &[]));
    });
    let u64_metric = |metric: &Metric, observe: fn(&Readings, &dyn AsyncInstrument<u64>)| {
        let source = readings.clone();
        metric.observe_u64(meter, move |observer| with_readings(&source, |readings| observe(readings, observer)));
    };
    let f64_metric = |metric: &Metric, observe: fn(&Readings, &dyn AsyncInstrument<f64>)| {
        let source = readings.clone();
        metric.observe_f64(meter, move |observer| with_readings(&source, |readings| observe(readings, observer)));
    };

    u64_metric(&metrics::SYSTEM_PAGING_USAGE, |readings, observer| {
        readings.paging.inspect(|space| observe_states(observer, *space, metrics::PAGING_STATE.name, &[]));
    });
    f64_metric(&metrics::SYSTEM_PAGING_UTILIZATION, |readings, observer| {
        readings.paging.and_then(Space::utilization).inspect(|share| observer.observe(*share, &[]));
    });

    u64_metric(&metrics::SYSTEM_FILESYSTEM_USAGE, |readings, observer| {
        if let Some((mount_point, space)) = &readings.volume {
            observe_states(observer, *space, metrics::FILESYSTEM_STATE.name, &[mounted_at(mount_point)]);
        }
    });
    u64_metric(&metrics::SYSTEM_FILESYSTEM_LIMIT, |readings, observer| {
        if let Some((mount_point, space)) = &readings.volume {
            observer.observe(space.total, &[mounted_at(mount_point)]);
        }
    });
    f64_metric(&metrics::SYSTEM_FILESYSTEM_UTILIZATION, |readings, observer| {
        if let Some((mount_point, space)) = &readings.volume {
            space.utilization().inspect(|share| observer.observe(*share, &[mounted_at(mount_point)]));
        }
    });

    u64_metric(&metrics::SYSTEM_NETWORK_IO, |readings, observer| {
        for traffic in &readings.traffic {
            for (direction, bytes) in [("receive", traffic.received), ("transmit", traffic.transmitted)] {
                let interface = KeyValue::new(metrics::NETWORK_INTERFACE.name, traffic.interface.clone());
                observer.observe(bytes, &[interface, KeyValue::new(metrics::NETWORK_DIRECTION.name, direction)]);
            }
        }
    });
    f64_metric(&metrics::SYSTEM_UPTIME, |readings, observer| {
        readings.uptime.inspect(|seconds| observer.observe(*seconds as f64, &[]));
    });
    f64_metric(&metrics::BATTERY_CHARGE, |readings, observer| {
        for battery in &readings.batteries {
            observer.observe(battery.charge, &battery.attributes);
        }
    });
    u64_metric(&metrics::POWER_EXTERNAL, |readings, observer| {
        readings.external_power.inspect(|external| observer.observe(u64::from(*external), &[]));
    });
}

fn with_readings(readings: &MetricSource<ReadingsCache>, observe: impl FnOnce(&Readings)) {
    if let Some(readings) = readings.get() {
        observe(readings.lock().readings(Instant::now()));
    }
}

fn mounted_at(mount_point: &str) -> KeyValue {
    KeyValue::new(metrics::FILESYSTEM_MOUNTPOINT.name, mount_point.to_owned())
}

/// Observes one data point for the used part and one for the free part.
fn observe_states(observer: &dyn AsyncInstrument<u64>, space: Space, key: &'static str, more: &[KeyValue]) {
    for (state, bytes) in [("used", space.used), ("free", space.free())] {
        let attributes: Vec<KeyValue> = more.iter().cloned().chain([KeyValue::new(key, state)]).collect();
        observer.observe(bytes, &attributes);
    }
}

#[cfg(test)]
pub(crate) mod tests;
