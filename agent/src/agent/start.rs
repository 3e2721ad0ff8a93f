//! The first two phases of a start: storage and telemetry. The sources and the control socket
//! follow in [`super::Agent`].

use std::fs::File;
use std::sync::Arc;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_semantic_conventions::attribute::{HOST_ID, HOST_NAME};

use super::{StartError, consent_service, self_telemetry};
use crate::config::Settings;
use crate::consent::{Consent, LogKind};
use crate::paths::DataDir;
use crate::pause::Pause;
use crate::pipeline::exporter::{Clients, ExportDuration, Exporter, SendSchedule};
use crate::pipeline::metrics;
use crate::pipeline::queue::{Queue, QueueThread};
use crate::redaction::{LazyRedactor, UserIdentity};
use crate::resource::Resource;
use crate::signals::metrics::{EXPORT_DURATION, INTERNAL_SCOPE, meter};
use crate::sources::SourceContext;
use crate::sources::power_saving::PowerSavingMonitor;

/// Phase 1: the data folder is locked, the consent record and the pause are loaded, the queue is
/// open.
pub(super) struct Storage {
    /// None if the data folder cannot be written.
    pub(super) lock: Option<File>,
    pub(super) queue: Queue,
    pub(super) thread: QueueThread,
    pub(super) pause: Pause,
    pub(super) consent: Consent,
}

impl Storage {
    pub(super) fn open(settings: &Settings, data: &DataDir) -> Result<Self, StartError> {
        let lock = data.lock_or_wait()?;
        let opened = Queue::open(&data.queue(), &settings.queue, settings.collector.compression)?;
        let pause = Pause::load(data.pause());
        let consent = consent_service::load(&data.consent(), settings.policy);
        for kind in LogKind::ALL.into_iter().filter(|kind| !consent.shares(*kind)) {
            // The program may have ended, or the disk been full, between the decision and the
            // deletion.
            opened.queue.purge_unshared(kind);
        }
        Ok(Self { lock, queue: opened.queue, thread: opened.thread, pause, consent })
    }
}

/// Phase 2: the meter provider that exports into the queue, and the exporter that empties it.
pub(super) struct Telemetry {
    pub(super) resource: Resource,
    pub(super) provider: SdkMeterProvider,
    pub(super) clients: Clients,
    pub(super) exporter: Exporter,
    pub(super) power_saving: PowerSavingMonitor,
}

impl Telemetry {
    pub(super) fn start(
        settings: &Settings,
        data: &DataDir,
        clients: Clients,
        storage: &Storage,
    ) -> Result<Self, StartError> {
        let Storage { queue, pause, .. } = storage;
        let resource = Resource::detect(&settings.resource, data);
        let interval = settings.host.export_interval.get();
        let provider = metrics::provider(queue.clone(), resource.to_sdk(), interval, pause)?;
        let power_saving = PowerSavingMonitor::start().map_err(StartError::Thread)?;
        // Desktops that are copies of one image have the same host id.
        let machine = format!("{} {}", resource.get(HOST_ID), resource.get(HOST_NAME));
        let schedule = SendSchedule::new(settings, &machine, power_saving.watch());
        let durations = settings.internal_metrics.enabled;
        let durations = durations.then(|| EXPORT_DURATION.histogram(&meter(&provider, INTERNAL_SCOPE)));
        let exporter = Exporter::start(queue, &clients, pause, &schedule, |signal| {
            let of = |durations| ExportDuration::new(durations, self_telemetry::exporter(&settings.collector, signal));
            durations.clone().map(of).unwrap_or_default()
        });
        Ok(Self { resource, provider, clients, exporter, power_saving })
    }

    /// Returns what the sources start from.
    pub(super) fn context(&self, settings: &Settings, data: &DataDir, storage: &Storage) -> SourceContext {
        SourceContext {
            settings: settings.clone(),
            data: data.clone(),
            resource: self.resource.clone(),
            queue: storage.queue.clone(),
            provider: self.provider.clone(),
            pause: storage.pause.clone(),
            redactor: Arc::new(LazyRedactor::new(&settings.logs.redaction, UserIdentity::current())),
            consent: storage.consent.clone(),
        }
    }
}
