//! Metrics of the io.Connect processes.
//!
//! One thread reads the list of processes every `processes.sample_interval`, looks closer at io.Connect's and adds up what
//! it finds by role. Instruments only hand that over; they give nothing before the first look, and nothing once the source
//! has been dropped.

pub(in crate::sources) mod list;
mod tally;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use parking_lot::Mutex;

use self::tally::Tally;
use super::host::logical_cpus;
use super::sampler::Sampler;
use super::{Source, SourceContext, SourceReports};
use crate::config::{ConnectSettings, ProcessSettings, Settings};
use crate::ioconnect::processes::{Role, members};
use crate::pause::Pause;
use crate::signals::metrics::{self, Metric};

pub use self::tally::{ProcessFigures, RoleFigures};

/// The running source. Dropping it ends its thread, after the look that is under way, and its metrics with it: shut the
/// meter provider down before, so that its last export has them.
#[derive(Debug)]
pub struct ProcessSource {
    tally: Arc<Mutex<Tally>>,
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
        let tally = Arc::new(Mutex::new(Tally::new(interval, logical_cpus().unwrap_or(1))));
        observe(&metrics::meter(provider, metrics::PROCESSES_SCOPE), &tally);

        let names = connect.process_names.clone();
        let looks = Arc::clone(&tally);
        let pause = pause.clone();
        let sampler = Sampler::start("process metrics", interval, move || {
            if pause.is_on() {
                return;
            }
            let processes = list::of_connect(&list::all(), &names);
            looks.lock().add(Instant::now(), &members(&processes, &names));
        })?;
        Ok(Self { tally, _sampler: sampler })
    }

    /// Returns the latest figures.
    #[must_use]
    pub fn latest(&self) -> ProcessFigures {
        self.tally.lock().figures().clone()
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

fn observe(meter: &Meter, tally: &Arc<Mutex<Tally>>) {
    let weak = Arc::downgrade(tally);
    metrics::PROCESS_CPU_TIME.observe_f64(meter, move |observer| {
        if let Some(tally) = weak.upgrade() {
            for (role, figures) in &tally.lock().figures().roles {
                observer.observe(figures.cpu_time.as_secs_f64(), &[attribute(*role)]);
            }
        }
    });
    let weak = Arc::downgrade(tally);
    metrics::PROCESS_CPU_UTILIZATION.observe_f64(meter, move |observer| {
        if let Some(tally) = weak.upgrade() {
            for (role, share) in tally.lock().take_utilization() {
                observer.observe(*share, &[attribute(*role)]);
            }
        }
    });
    let amounts = |metric: &Metric, amount: fn(&RoleFigures) -> u64| {
        let weak = Arc::downgrade(tally);
        metric.observe_u64(meter, move |observer: &dyn AsyncInstrument<u64>| {
            if let Some(tally) = weak.upgrade() {
                for (role, figures) in &tally.lock().figures().roles {
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

/// Whether a process runs: whether the system lists it, and it has not ended.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    list::all().iter().any(|process| process.pid == pid)
}

/// CPU time and memory, in bytes, of this process.
pub(crate) fn itself() -> Option<(Duration, u64)> {
    list::look_at(&[std::process::id()]).pop().map(|process| (process.cpu_time, process.memory))
}

#[cfg(test)]
mod tests;
