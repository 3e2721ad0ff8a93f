//! Metrics of the io.Connect processes.
//!
//! One thread reads the process list every `processes.sample_interval`, reads the details of the
//! io.Connect processes, and aggregates them by role. The instruments only pass on the result. They
//! report nothing before the first sample, and nothing after the source has been dropped.

mod aggregate;
pub(in crate::sources) mod list;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use parking_lot::Mutex;

use self::aggregate::ProcessAggregate;
use super::host::logical_cpus;
use super::sampler::Sampler;
use super::{Source, SourceContext, SourceReports};
use crate::config::{ConnectSettings, ProcessSettings, Settings};
use crate::ioconnect::processes::{Role, members};
use crate::pause::Pause;
use crate::signals::metrics::{self, Metric};

pub use self::aggregate::{ProcessFigures, RoleFigures};

/// The running source. Dropping it ends its thread after the sample in progress and removes its
/// metrics, so shut down the meter provider first: its last export then still includes them.
#[derive(Debug)]
pub struct ProcessSource {
    aggregate: Arc<Mutex<ProcessAggregate>>,
    _sampler: Sampler,
}

impl ProcessSource {
    /// Creates the instruments and starts sampling.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(
        provider: &impl MeterProvider,
        settings: &ProcessSettings,
        connect: &ConnectSettings,
        pause: &Pause,
    ) -> io::Result<Self> {
        let interval = settings.sample_interval.get();
        let aggregate = Arc::new(Mutex::new(ProcessAggregate::new(interval, logical_cpus().unwrap_or(1))));
        observe(&metrics::meter(provider, metrics::PROCESSES_SCOPE), &aggregate);

        let names = connect.process_names.clone();
        let sums = Arc::clone(&aggregate);
        let pause = pause.clone();
        let sampler = Sampler::start("process metrics", interval, move || {
            if pause.is_on() {
                return;
            }
            let processes = list::platform_processes(&list::all(), &names);
            sums.lock().add(Instant::now(), &members(&processes, &names));
        })?;
        Ok(Self { aggregate, _sampler: sampler })
    }

    /// Returns the latest figures.
    #[must_use]
    pub fn latest(&self) -> ProcessFigures {
        self.aggregate.lock().figures().clone()
    }
}

#[async_trait]
impl Source for ProcessSource {
    fn is_enabled(settings: &Settings) -> bool {
        settings.processes.enabled
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        let SourceContext { settings, provider, pause, .. } = context;
        Self::new(provider, &settings.processes, &settings.connect, pause)
    }

    fn report(&self, reports: &mut SourceReports) {
        reports.processes = self.latest();
    }
}

fn observe(meter: &Meter, aggregate: &Arc<Mutex<ProcessAggregate>>) {
    let weak = Arc::downgrade(aggregate);
    metrics::PROCESS_CPU_TIME.observe_f64(meter, move |observer| {
        if let Some(aggregate) = weak.upgrade() {
            for (role, figures) in &aggregate.lock().figures().roles {
                observer.observe(figures.cpu_time.as_secs_f64(), &[attribute(*role)]);
            }
        }
    });
    let weak = Arc::downgrade(aggregate);
    metrics::PROCESS_CPU_UTILIZATION.observe_f64(meter, move |observer| {
        if let Some(aggregate) = weak.upgrade() {
            for (role, share) in aggregate.lock().take_utilization() {
                observer.observe(*share, &[attribute(*role)]);
            }
        }
    });
    let amounts = |metric: &Metric, amount: fn(&RoleFigures) -> u64| {
        let weak = Arc::downgrade(aggregate);
        metric.observe_u64(meter, move |observer: &dyn AsyncInstrument<u64>| {
            if let Some(aggregate) = weak.upgrade() {
                for (role, figures) in &aggregate.lock().figures().roles {
                    observer.observe(amount(figures), &[attribute(*role)]);
                }
            }
        });
    };
    amounts(&metrics::PROCESS_MEMORY_USAGE, |figures| figures.memory);
    amounts(&metrics::PROCESS_COUNT, |figures| figures.count);
}

fn attribute(role: Role) -> KeyValue {
    KeyValue::new(metrics::PROCESS_ROLE.name, role.name())
}

/// Returns whether the system lists a process with this id that has not ended.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    list::all().iter().any(|process| process.pid == pid)
}

/// Returns the CPU time and the physical memory in bytes of this process.
pub(crate) fn own_usage() -> Option<(Duration, u64)> {
    list::inspect(&[std::process::id()]).pop().map(|process| (process.cpu_time, process.memory))
}

#[cfg(test)]
mod tests;
