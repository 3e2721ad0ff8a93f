//! Assembles the status from what every part of the agent publishes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::consent_service::ConsentService;
use crate::config::{CollectorSettings, Loaded, PolicySettings, SettingLine};
use crate::consent::LogKind;
use crate::otlp::Signal;
use crate::pause::Pause;
use crate::pipeline::exporter::{Delivery, PowerSaving};
use crate::pipeline::queue::Queue;
use crate::sources::{SourceReports, Sources};
use crate::status::{CollectorStatus, Health, LogsStatus, Status, judge};
use crate::time::now_unix_ms;

/// The parts of the agent that the status shows.
#[derive(Debug)]
pub(super) struct StatusAssembler {
    pub(super) data_dir: String,
    pub(super) started_unix_ms: i64,
    pub(super) collector: CollectorSettings,
    pub(super) policy: PolicySettings,
    pub(super) consent: Arc<ConsentService>,
    pub(super) sources: Arc<Sources>,
    pub(super) deliveries: Vec<(Signal, watch::Receiver<Delivery>)>,
    pub(super) queue: Queue,
    pub(super) power_saving: watch::Receiver<Option<PowerSaving>>,
    pub(super) pause: Pause,
    pub(super) settings: Mutex<SettingsReport>,
}

/// The settings in force, and what is wrong with them, as people are shown them.
#[derive(Debug)]
pub(super) struct SettingsReport {
    pub(super) lines: Vec<SettingLine>,
    pub(super) problems: Vec<String>,
}

impl From<&Loaded> for SettingsReport {
    fn from(loaded: &Loaded) -> Self {
        let problems = loaded.problems.iter().map(ToString::to_string).collect();
        Self { lines: loaded.lines(), problems }
    }
}

impl StatusAssembler {
    /// Returns a snapshot.
    pub(super) fn status(&self) -> Status {
        let delivery = |of: Signal| {
            let found = self.deliveries.iter().find(|(signal, _)| *signal == of);
            found.map(|(_, delivery)| delivery.borrow().clone()).unwrap_or_default()
        };
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let consent = self.consent.consent();
        let SourceReports { host, processes, focus, logs, receiver } = self.sources.report();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process_id: std::process::id(),
            started_unix_ms: self.started_unix_ms,
            taken_unix_ms: now_unix_ms(),
            data_dir: self.data_dir.clone(),
            health: Health::Starting,
            sentence: String::new(),
            collector: CollectorStatus {
                endpoint: self.collector.endpoint.to_string(),
                protocol: self.collector.protocol.name().to_owned(),
                metrics: delivery(Signal::Metrics),
                traces: delivery(Signal::Traces),
                logs: delivery(Signal::Logs),
            },
            queue: self.queue.watch().borrow().clone(),
            queue_is_known: self.queue.is_ready(),
            saving: *self.power_saving.borrow(),
            saving_interval_ms: milliseconds(self.collector.saving_interval.get()),
            logs: LogsStatus {
                shared: LogKind::ALL.into_iter().filter(|kind| consent.shares(*kind)).collect(),
                reading: logs,
            },
            host,
            processes,
            focus,
            receiver,
            paused_until_unix_ms: self.pause.until().map(jiff::Timestamp::as_millisecond),
            consent,
            policy: self.policy,
            problems: self.settings.lock().problems.clone(),
        };
        (status.health, status.sentence) = judge(&status);
        status
    }

    /// Replaces the report after a reload that changed no value.
    pub(super) fn report_settings(&self, loaded: &Loaded) {
        let report = SettingsReport::from(loaded);
        let mut current = self.settings.lock();
        for problem in report.problems.iter().filter(|problem| !current.problems.contains(problem)) {
            tracing::warn!("{problem}");
        }
        *current = report;
    }

    /// Reports new settings that cannot be used; the values in force have not changed.
    pub(super) fn report_settings_problem(&self, problem: String) {
        let mut current = self.settings.lock();
        if current.problems != [problem.as_str()] {
            tracing::warn!("{problem}");
            current.problems = vec![problem];
        }
    }
}
