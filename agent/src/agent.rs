//! The agent: its parts, wired.
//!
//! A start has four phases: storage (data folder locked, queue open), telemetry (meter provider,
//! exporter), sources, control (status, consent, control socket). A stop follows the data: the
//! sources hand over what they have, the SDK exports once more, the exporter sends what it can
//! within [`FLUSH_LIMIT`], the queue is written to disk.

pub mod consent_service;
mod control_handler;
mod self_telemetry;
mod service;
mod session_reporting;
mod start;
mod status_assembler;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_semantic_conventions::attribute::SESSION_ID;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use service::{Frontend, Headless, Service};

use self::consent_service::ConsentService;
use self::control_handler::ControlHandler;
use self::session_reporting::SessionReporter;
use self::start::{Storage, Telemetry};
use self::status_assembler::{SettingsReport, StatusAssembler};
use crate::config::{Loaded, Settings};
use crate::control::{Answer, Reply, Request, Server};
use crate::paths::{DataDir, LockError};
use crate::pipeline::events::Events;
use crate::pipeline::exporter::{ClientError, Clients, Exporter};
use crate::pipeline::queue::{QueueThread, StoreError};
use crate::pipeline::spans::Spans;
use crate::recent_load::LoadRecorder;
use crate::sources::Sources;
use crate::sources::power_saving::PowerSavingMonitor;
use crate::status::Status;
use crate::time::now_unix_ms;

/// Time to send queued data when the agent ends: with the rest of the stop it stays within the 2 s
/// that a logoff gives.
pub const FLUSH_LIMIT: Duration = Duration::from_millis(1200);

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another agent uses the data folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The queue.
    #[error("failed to open the queue: {0}")]
    Queue(#[from] StoreError),
    /// The settings of the collector.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The resource.
    #[error("failed to encode the resource: {0}")]
    Resource(#[from] prost::DecodeError),
    /// The SDK.
    #[error("failed to build the metrics pipeline: {0}")]
    Metrics(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The system gives no thread.
    #[error("failed to start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The control socket.
    #[error("failed to open the control socket: {0}")]
    Control(#[source] io::Error),
    /// The system gives no signals.
    #[error("failed to listen for shutdown signals: {0}")]
    Signals(#[source] io::Error),
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    control: Arc<ControlHandler>,
    /// None if the data folder cannot be written, on Unix.
    server: Option<Server>,
    sources: Arc<Sources>,
    provider: SdkMeterProvider,
    exporter: Exporter,
    /// Watched by the exporter's lanes.
    _power_saving: PowerSavingMonitor,
    queue: QueueThread,
    lock: Option<File>,
    /// Report sessions, and record the load of the last hour.
    background: [JoinHandle<()>; 2],
}

impl Agent {
    /// Starts everything, on the current tokio runtime. Problems with the settings are shown in the
    /// status.
    ///
    /// # Errors
    /// See [`StartError`]; nothing keeps running then.
    pub fn start(loaded: &Loaded, data: &DataDir) -> Result<Self, StartError> {
        let settings = &loaded.settings;
        let clients = Clients::new(&settings.collector)?;
        let storage = Storage::open(settings, data)?;
        let telemetry = Telemetry::start(settings, data, clients, &storage)?;
        let sources = Sources::start(&telemetry.context(settings, data, &storage)).map_err(StartError::Thread)?;
        let sources = Arc::new(sources);
        let control = Arc::new(control(loaded, data, &storage, &telemetry, &sources)?);
        report_itself(&control.status, &telemetry.provider, settings);
        let server = match Server::start(data, Arc::clone(&control)) {
            Ok(server) => Some(server),
            Err(error) if storage.lock.is_none() => {
                tracing::error!("failed to open the control socket: {error:#}; status and tray commands will not work");
                None
            }
            Err(error) => return Err(StartError::Control(error)),
        };
        let background =
            [tokio::spawn(Arc::clone(&control.sessions).run()), tokio::spawn(Arc::clone(&control).record_load())];
        let consent = Arc::clone(&control.consent);
        tokio::spawn(async move { consent.announce().await });
        tracing::info!(version = env!("CARGO_PKG_VERSION"), endpoint = %settings.collector.endpoint, "started");
        let Telemetry { provider, exporter, power_saving, .. } = telemetry;
        let Storage { thread: queue, lock, .. } = storage;
        Ok(Self { control, server, sources, provider, exporter, _power_saving: power_saving, queue, lock, background })
    }

    /// Returns the current status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.control.status.status()
    }

    /// Changes whenever a user has started the program again, to see its window.
    #[must_use]
    pub fn window_requests(&self) -> watch::Receiver<u64> {
        self.control.window_requests.subscribe()
    }

    /// Completes when another program asks, through the control socket, that the agent shut down.
    pub async fn shutdown_requested(&self) {
        self.control.shutdown.notified().await;
    }

    /// Answers as the control socket does.
    pub async fn ask(&self, request: Request) -> Reply {
        self.control.answer(request).await
    }

    /// Stops everything; what could not be sent is on disk when this returns.
    pub async fn stop(self) {
        let Self { control, server, sources, provider, exporter, queue, lock, background, .. } = self;
        for task in background {
            task.abort();
            // Ended by the abort.
            let _ = task.await;
        }
        drop(server);
        sources.stop().await;
        // It waits for the queue.
        let exported = tokio::task::spawn_blocking(move || {
            if let Err(error) = provider.shutdown() {
                tracing::warn!("failed to export the last metrics: {error:#}");
            }
        });
        if exported.await.is_err() {
            tracing::error!("the last export of metrics panicked");
        }
        control.sessions.flush_usage().await;
        exporter.stop(FLUSH_LIMIT).await;
        drop((control, sources));
        if tokio::task::spawn_blocking(move || queue.stop()).await.is_err() {
            tracing::error!("stopping the queue panicked");
        }
        tracing::info!("stopped");
        drop(lock);
    }
}

/// Phase 4: what requests are answered from.
fn control(
    loaded: &Loaded,
    data: &DataDir,
    storage: &Storage,
    telemetry: &Telemetry,
    sources: &Arc<Sources>,
) -> Result<ControlHandler, StartError> {
    let settings = &loaded.settings;
    let Storage { queue, pause, consent, .. } = storage;
    let resource = telemetry.resource.to_protobuf();
    let events = Events::new(queue.clone(), &resource)?;
    let consent = Arc::new(ConsentService::of_agent(
        data.consent(),
        settings.policy,
        consent.clone(),
        Arc::clone(sources),
        queue.clone(),
        events.clone(),
    ));
    let status = StatusAssembler {
        data_dir: data.path().display().to_string(),
        started_unix_ms: now_unix_ms(),
        collector: settings.collector.clone(),
        policy: settings.policy,
        consent: Arc::clone(&consent),
        sources: Arc::clone(sources),
        deliveries: telemetry.exporter.watch(),
        queue: queue.clone(),
        power_saving: telemetry.power_saving.watch(),
        pause: pause.clone(),
        settings: Mutex::new(SettingsReport::from(loaded)),
    };
    let sessions = SessionReporter {
        focus: sources.focus().cloned(),
        session_id: telemetry.resource.get(SESSION_ID).to_owned(),
        data: data.clone(),
        events,
        spans: Spans::new(queue.clone(), &resource)?,
        pause: pause.clone(),
    };
    Ok(ControlHandler {
        status: Arc::new(status),
        consent,
        sessions: Arc::new(sessions),
        clients: telemetry.clients.clone(),
        recent_batches: telemetry.exporter.recent_batches(),
        load: Mutex::new(LoadRecorder::default()),
        window_requests: watch::Sender::default(),
        shutdown: Notify::new(),
    })
}

/// Starts the export of metrics about the agent itself, if the settings enable them.
fn report_itself(status: &Arc<StatusAssembler>, provider: &SdkMeterProvider, settings: &Settings) {
    if !settings.internal_metrics.enabled {
        return;
    }
    let queue = &status.queue;
    let counters_at_start = queue.is_ready().then(|| queue.watch().borrow().counters.clone());
    let status = Arc::downgrade(status);
    let read_status = Arc::new(move || status.upgrade().map(|status| status.status()));
    self_telemetry::start(
        provider,
        &settings.collector,
        settings.queue.max_bytes.get(),
        counters_at_start,
        read_status,
    );
}
