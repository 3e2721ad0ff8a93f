//! The parts of the agent that are started with it, each if the settings want it.

use std::io;
use std::sync::Arc;

use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::config::Settings;
use crate::connect::folders;
use crate::paths::DataDir;
use crate::pause::Pause;
use crate::pipeline::exporter::{Clients, Exporter, Operations, Pace};
use crate::pipeline::queue::Queue;
use crate::redaction::{LazyRedactor, Person};
use crate::resource::Resource;
use crate::signals::metrics::{EXPORT_DURATION, INTERNAL_SCOPE, meter};
use crate::sources::focus::FocusSource;
use crate::sources::host::HostSource;
use crate::sources::internal;
use crate::sources::logs::LogContext;
use crate::sources::processes::ProcessSource;
use crate::sources::receiver::{Receiver, ReceiverContext};
use crate::usage::Usage;

/// The sources of metrics that the settings want.
pub(super) struct Sources {
    pub(super) host: Option<Arc<HostSource>>,
    pub(super) processes: Option<Arc<ProcessSource>>,
    pub(super) focus: Option<Arc<FocusSource>>,
}

impl Sources {
    pub(super) fn start(
        provider: &SdkMeterProvider,
        settings: &Settings,
        data: &DataDir,
        pause: &Pause,
        session: &str,
    ) -> io::Result<Self> {
        let host = settings.host.enabled.then(|| HostSource::start(provider, &settings.host, pause));
        let processes = settings
            .processes
            .enabled
            .then(|| ProcessSource::start(provider, &settings.processes, &settings.connect, pause));
        let focus = settings.focus.enabled.then(|| {
            let usage = Usage::load(&data.usage());
            FocusSource::start(provider, &settings.focus, &settings.connect, pause, session, usage)
        });
        Ok(Self {
            host: host.transpose()?.map(Arc::new),
            processes: processes.transpose()?.map(Arc::new),
            focus: focus.transpose()?.map(Arc::new),
        })
    }
}

/// What the log source works with.
pub(super) fn log_context(settings: &Settings, queue: &Queue, resource: &Resource, pause: &Pause) -> LogContext {
    LogContext {
        settings: settings.logs.clone(),
        user_data: folders::user_data(&settings.connect),
        queue: queue.clone(),
        resource: resource.to_protobuf(),
        redactor: Arc::new(LazyRedactor::new(&settings.logs.redaction, Person::current())),
        pause: pause.clone(),
        zone: jiff::tz::TimeZone::system(),
    }
}

/// The exporter, which tells how long its requests take if the settings want that.
pub(super) fn exporter(
    settings: &Settings,
    queue: &Queue,
    clients: &Clients,
    pause: &Pause,
    pace: &Pace,
    provider: &SdkMeterProvider,
) -> Exporter {
    let durations =
        settings.internal_metrics.enabled.then(|| EXPORT_DURATION.histogram(&meter(provider, INTERNAL_SCOPE)));
    Exporter::start(queue, clients, pause, pace, |signal| {
        let operations = |durations| Operations::new(durations, internal::exporter(&settings.collector, signal));
        durations.clone().map(operations).unwrap_or_default()
    })
}

/// The receiver, if the settings want it.
pub(super) fn receiver(
    settings: &Settings,
    data: &DataDir,
    logs: &LogContext,
    resource: &Resource,
    provider: &SdkMeterProvider,
    shares_logs: bool,
) -> Option<Receiver> {
    let context = settings.receiver.enabled.then(|| ReceiverContext {
        settings: settings.receiver.clone(),
        collector: settings.collector.clone(),
        queue: logs.queue.clone(),
        resource: resource.clone(),
        redactor: Arc::clone(&logs.redactor),
        provider: provider.clone(),
        pause: logs.pause.clone(),
        published: data.receiver(),
    });
    Some(Receiver::start(context?, shares_logs))
}
