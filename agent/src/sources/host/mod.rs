//! Metrics of this machine.
//!
//! One thread looks at CPU and memory every `host.sample_interval` and adds up what lies above the thresholds, so that
//! short peaks are seen although metrics are exported far less often. Everything else is read at the export itself.
//! Instruments only hand over what was read; they give nothing once the source has been dropped.

mod export;
mod machine;
mod tally;
mod turn;

use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use parking_lot::Mutex;

use self::export::{AtExport, Readings};
use self::tally::{Sample, Tally};
use self::turn::Turn;
use super::sampler::Sampler;
use super::{Source, SourceContext, SourceReports};
use crate::config::{HostSettings, Settings};
use crate::pause::Pause;
use crate::signals::metrics::{self, Metric};

pub(in crate::sources) use self::export::runs_on_battery;
pub(crate) use self::machine::logical_cpus;
pub(in crate::sources) use self::tally::GAP_INTERVALS;
pub use self::tally::{HostFigures, Space};

/// The running source. Dropping it ends its thread within milliseconds and its metrics with it: shut the meter provider
/// down before, so that its last export has them.
#[derive(Debug)]
pub struct HostSource {
    tally: Arc<Mutex<Tally>>,
    /// Kept for the instruments, which hold weak references.
    _at_export: Arc<Mutex<AtExport>>,
    _sampler: Sampler,
}

impl HostSource {
    /// Creates the instruments and starts sampling.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(provider: &impl MeterProvider, settings: &HostSettings, pause: &Pause) -> io::Result<Self> {
        let tally = Arc::new(Mutex::new(Tally::new(settings)));
        let at_export = Arc::new(Mutex::new(AtExport::new()));

        let meter = metrics::meter(provider, metrics::HOST_SCOPE);
        let turn = Arc::new(Turn::new(settings.one_per_machine));
        observe_samples(&meter, &Told::new(&tally, &turn), settings);
        observe_readings(&meter, &Told::new(&at_export, &turn), &turn);

        let mut memory = machine::Memory::new();
        let taken = Arc::clone(&tally);
        let pause = pause.clone();
        let sampler = Sampler::start("host metrics", settings.sample_interval.get(), move || {
            if pause.is_on() {
                return;
            }
            let sample = Sample { at: Instant::now(), cpu: machine::cpu_times(), memory: memory.physical() };
            taken.lock().add(sample);
        })?;
        Ok(Self { tally, _at_export: at_export, _sampler: sampler })
    }

    /// Returns the latest figures.
    #[must_use]
    pub fn latest(&self) -> HostFigures {
        self.tally.lock().figures()
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

/// What instruments tell from: nothing once the source has been dropped, nor while another agent tells it.
#[derive(Debug)]
struct Told<T> {
    of: Weak<Mutex<T>>,
    turn: Arc<Turn>,
}

impl<T> Clone for Told<T> {
    fn clone(&self) -> Self {
        Self { of: Weak::clone(&self.of), turn: Arc::clone(&self.turn) }
    }
}

impl<T> Told<T> {
    fn new(of: &Arc<Mutex<T>>, turn: &Arc<Turn>) -> Self {
        Self { of: Arc::downgrade(of), turn: Arc::clone(turn) }
    }

    fn get(&self) -> Option<Arc<Mutex<T>>> {
        self.of.upgrade().filter(|_| self.turn.is_mine())
    }
}

/// Metrics out of the samples.
fn observe_samples(meter: &Meter, tally: &Told<Tally>, settings: &HostSettings) {
    let told = tally.clone();
    metrics::SYSTEM_CPU_UTILIZATION.observe_f64(meter, move |observer| {
        let mean = told.get().and_then(|tally| tally.lock().take_mean_cpu());
        mean.inspect(|mean| observer.observe(*mean, &[]));
    });

    let figures =
        |metric: &Metric, observe: fn(&HostFigures, &dyn AsyncInstrument<f64>, &[KeyValue]), threshold: f64| {
            let told = tally.clone();
            let attributes = [KeyValue::new(metrics::THRESHOLD.name, threshold)];
            metric.observe_f64(meter, move |observer| {
                if let Some(tally) = told.get() {
                    let figures = tally.lock().figures();
                    observe(&figures, observer, &attributes);
                }
            });
        };
    figures(
        &metrics::CPU_TIME_ABOVE_THRESHOLD,
        |figures, observer, attributes| observer.observe(figures.cpu_seconds_above, attributes),
        settings.cpu_threshold.get(),
    );
    figures(
        &metrics::MEMORY_TIME_ABOVE_THRESHOLD,
        |figures, observer, attributes| observer.observe(figures.memory_seconds_above, attributes),
        settings.memory_threshold.get(),
    );

    let memory = |told: &Told<Tally>| told.get().and_then(|tally| tally.lock().figures().memory);
    let told = tally.clone();
    metrics::SYSTEM_MEMORY_USAGE.observe_u64(meter, move |observer| {
        memory(&told).inspect(|space| observe_states(observer, *space, metrics::MEMORY_STATE.name, &[]));
    });
    let told = tally.clone();
    metrics::SYSTEM_MEMORY_LIMIT.observe_u64(meter, move |observer| {
        memory(&told).inspect(|space| observer.observe(space.total, &[]));
    });
    let told = tally.clone();
    metrics::SYSTEM_MEMORY_UTILIZATION.observe_f64(meter, move |observer| {
        memory(&told).and_then(Space::utilization).inspect(|share| observer.observe(*share, &[]));
    });
}

/// Metrics that are read at each export.
fn observe_readings(meter: &Meter, at_export: &Told<AtExport>, turn: &Arc<Turn>) {
    let cpus = logical_cpus();
    let turn = Arc::clone(turn);
    metrics::SYSTEM_CPU_LOGICAL_COUNT.observe_u64(meter, move |observer| {
        cpus.filter(|_| turn.is_mine()).inspect(|count| observer.observe(*count, &[]));
    });
    let whole = |metric: &Metric, observe: fn(&Readings, &dyn AsyncInstrument<u64>)| {
        let told = at_export.clone();
        metric.observe_u64(meter, move |observer| with_readings(&told, |readings| observe(readings, observer)));
    };
    let fraction = |metric: &Metric, observe: fn(&Readings, &dyn AsyncInstrument<f64>)| {
        let told = at_export.clone();
        metric.observe_f64(meter, move |observer| with_readings(&told, |readings| observe(readings, observer)));
    };

    whole(&metrics::SYSTEM_PAGING_USAGE, |readings, observer| {
        readings.paging.inspect(|space| observe_states(observer, *space, metrics::PAGING_STATE.name, &[]));
    });
    fraction(&metrics::SYSTEM_PAGING_UTILIZATION, |readings, observer| {
        readings.paging.and_then(Space::utilization).inspect(|share| observer.observe(*share, &[]));
    });

    whole(&metrics::SYSTEM_FILESYSTEM_USAGE, |readings, observer| {
        if let Some((mount_point, space)) = &readings.volume {
            observe_states(observer, *space, metrics::FILESYSTEM_STATE.name, &[mounted_at(mount_point)]);
        }
    });
    whole(&metrics::SYSTEM_FILESYSTEM_LIMIT, |readings, observer| {
        if let Some((mount_point, space)) = &readings.volume {
            observer.observe(space.total, &[mounted_at(mount_point)]);
        }
    });
    fraction(&metrics::SYSTEM_FILESYSTEM_UTILIZATION, |readings, observer| {
        if let Some((mount_point, space)) = &readings.volume {
            space.utilization().inspect(|share| observer.observe(*share, &[mounted_at(mount_point)]));
        }
    });

    whole(&metrics::SYSTEM_NETWORK_IO, |readings, observer| {
        for traffic in &readings.traffic {
            for (direction, bytes) in [("receive", traffic.received), ("transmit", traffic.transmitted)] {
                let interface = KeyValue::new(metrics::NETWORK_INTERFACE.name, traffic.interface.clone());
                observer.observe(bytes, &[interface, KeyValue::new(metrics::NETWORK_DIRECTION.name, direction)]);
            }
        }
    });
    fraction(&metrics::SYSTEM_UPTIME, |readings, observer| {
        readings.uptime.inspect(|seconds| observer.observe(*seconds as f64, &[]));
    });
    fraction(&metrics::BATTERY_CHARGE, |readings, observer| {
        for battery in &readings.batteries {
            observer.observe(battery.charge, &battery.attributes);
        }
    });
    whole(&metrics::POWER_EXTERNAL, |readings, observer| {
        readings.external_power.inspect(|external| observer.observe(u64::from(*external), &[]));
    });
}

fn with_readings(at_export: &Told<AtExport>, observe: impl FnOnce(&Readings)) {
    if let Some(at_export) = at_export.get() {
        observe(at_export.lock().readings(Instant::now()));
    }
}

fn mounted_at(mount_point: &str) -> KeyValue {
    KeyValue::new(metrics::FILESYSTEM_MOUNTPOINT.name, mount_point.to_owned())
}

/// A point for what is used and one for what is free.
fn observe_states(observer: &dyn AsyncInstrument<u64>, space: Space, key: &'static str, more: &[KeyValue]) {
    for (state, bytes) in [("used", space.used), ("free", space.free())] {
        let attributes: Vec<KeyValue> = more.iter().cloned().chain([KeyValue::new(key, state)]).collect();
        observer.observe(bytes, &attributes);
    }
}

#[cfg(test)]
pub(crate) mod tests;
