//! The agent: its parts, wired.
//!
//! Start: data folder locked, queue opened, exporter, sources, control socket. Stop, in the order of the data: sources
//! hand over what they have, the SDK exports once more, the exporter sends what it can within [`FLUSH_LIMIT`], the queue
//! is written out.

mod decisions;
mod history;
mod service;
mod start;

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_semantic_conventions::attribute::{HOST_ID, HOST_NAME, SESSION_ID};
use tokio::sync::{Notify, RwLock, watch};
use tokio::task::JoinHandle;

pub use decisions::set_by_organisation;
pub use service::Service;
use start::Sources;

use crate::config::{Loaded, PolicySettings, Protocol, SettingLine, Settings};
use crate::consent::{Consent, LogKind};
use crate::control::{Answer, Reply, Request, Server};
use crate::hour::{LOOK_INTERVAL, Recorder};
use crate::paths::{DataDir, LockError};
use crate::pause::{Pause, PauseFor};
use crate::pipeline::Signal;
use crate::pipeline::events::Events;
use crate::pipeline::exporter::{ClientError, Clients, Delivery, Exporter, Pace, Sent, probe};
use crate::pipeline::metrics;
use crate::pipeline::queue::{Queue, QueueStats, QueueThread, StoreError};
use crate::pipeline::spans::Spans;
use crate::resource::Resource;
use crate::sources::focus::FocusSource;
use crate::sources::host::{HostSource, logical_cpus};
use crate::sources::internal;
use crate::sources::logs::{LogContext, LogSource, LogStatus};
use crate::sources::processes::ProcessSource;
use crate::sources::receiver::Receiver;
use crate::sources::saving::SavingSource;
use crate::status::{CollectorStatus, Health, LogsStatus, Status, judge, now_unix_ms};

/// Time to send what waits when the agent ends: with the rest of the stop it stays within the 2 s that a logoff gives.
pub const FLUSH_LIMIT: Duration = Duration::from_millis(1200);

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The queue.
    #[error("the queue cannot be opened: {0}")]
    Queue(#[from] StoreError),
    /// The settings of the collector.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The resource.
    #[error("the resource cannot be encoded: {0}")]
    Resource(#[from] prost::DecodeError),
    /// The SDK.
    #[error("the metrics pipeline cannot be built: {0}")]
    Metrics(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Something else of the system.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    /// None if the data folder cannot be written, on Unix.
    server: Option<Server>,
    host: Option<Arc<HostSource>>,
    processes: Option<Arc<ProcessSource>>,
    provider: SdkMeterProvider,
    exporter: Exporter,
    queue: QueueThread,
    lock: Option<File>,
    /// Waits for the queue to tell how far log files have been read, if it could not at the start.
    late_logs: Option<JoinHandle<()>>,
    /// Keeps the last hour, and the last days.
    recorders: [JoinHandle<()>; 2],
}

impl Agent {
    /// Starts everything, on the current tokio runtime. What is wrong with the settings is shown in the status.
    ///
    /// # Errors
    /// See [`StartError`]; nothing keeps running then.
    pub fn start(loaded: &Loaded, data: &DataDir) -> Result<Self, StartError> {
        let settings = &loaded.settings;
        let lock = data.take()?;
        let resource = Resource::detect(&settings.resource, data);
        let clients = Clients::new(&settings.collector)?;
        let opened = Queue::open(&data.queue(), &settings.queue, settings.collector.compression)?;
        let queue = opened.queue;
        let pause = Pause::load(data.pause());
        let mut consent = Consent::load(&data.consent());
        if consent.obey(|kind| settings.policy.shares(kind), jiff::Timestamp::now())
            && let Err(error) = consent.store(&data.consent())
        {
            tracing::warn!(%error, "what the organisation decided could not be written down");
        }
        for kind in LogKind::ALL.into_iter().filter(|kind| !consent.shares(*kind)) {
            // The program may have ended, or the disk been full, between the decision and the deletion.
            queue.withhold(kind);
        }
        let provider =
            metrics::provider(queue.clone(), resource.to_sdk(), settings.host.export_interval.get(), &pause)?;
        let thread = |error| StartError::Io("a thread could not be started", error);
        let saving = SavingSource::start().map_err(thread)?;
        // Desktops that are copies of one image share their id.
        let machine = format!("{} {}", resource.get(HOST_ID), resource.get(HOST_NAME));
        let pace = Pace::new(settings, &machine, saving.watch());
        let exporter = start::exporter(settings, &queue, &clients, &pause, &pace, &provider);
        let session = resource.get(SESSION_ID).to_owned();
        let Sources { host, processes, focus } =
            Sources::start(&provider, settings, data, &pause, &session).map_err(thread)?;
        let log_context = start::log_context(settings, &queue, &resource, &pause);
        let shares_logs = consent.shares(LogKind::Applications);
        let receiver = start::receiver(settings, data, &log_context, &resource, &provider, shares_logs);
        let events = Events::new(queue.clone(), &resource.to_protobuf())?;
        let spans = Spans::new(queue.clone(), &resource.to_protobuf())?;
        let shared = Arc::new(Shared {
            data: data.clone(),
            started_unix_ms: now_unix_ms(),
            endpoint: settings.collector.endpoint.to_string(),
            protocol: settings.collector.protocol,
            policy: settings.policy,
            consent: Mutex::new(consent),
            consent_turn: tokio::sync::Mutex::new(()),
            log_context,
            logs: Mutex::new(None),
            receiver: RwLock::new(receiver),
            deliveries: exporter.watch(),
            stats: queue.watch(),
            saving,
            saving_interval: settings.collector.saving_interval.get(),
            host: host.clone(),
            processes: processes.clone(),
            focus,
            session,
            queue,
            events,
            spans,
            pause,
            clients,
            sent: exporter.sent(),
            hour: Mutex::default(),
            window_wanted: watch::Sender::default(),
            end: Notify::new(),
            told: Mutex::new(Told::of(loaded)),
        });
        if settings.internal_metrics.enabled {
            shared.tell_of_itself(&provider, settings);
        }
        let late_logs = if shared.queue.is_ready() {
            shared.start_logs().map_err(thread)?;
            None
        } else {
            Some(tokio::spawn(Arc::clone(&shared).start_logs_late()))
        };
        let server = match Server::start(data, Arc::clone(&shared)) {
            Ok(server) => Some(server),
            Err(error) if lock.is_none() => {
                tracing::error!(%error, "the control socket could not be opened; nobody can ask for the status");
                None
            }
            Err(error) => return Err(StartError::Io("the control socket could not be opened", error)),
        };
        let recorders =
            [tokio::spawn(Arc::clone(&shared).record_hour()), tokio::spawn(Arc::clone(&shared).keep_history())];
        let announcing = Arc::clone(&shared);
        // A decision that was made while no agent ran.
        tokio::spawn(async move { announcing.announce().await });
        tracing::info!(version = env!("CARGO_PKG_VERSION"), endpoint = %settings.collector.endpoint, "started");
        Ok(Self {
            shared,
            server,
            host,
            processes,
            provider,
            exporter,
            queue: opened.thread,
            lock,
            late_logs,
            recorders,
        })
    }

    /// How the agent is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// The settings stand elsewhere now, or something else is wrong with them; those in force are the same.
    fn tell_settings(&self, loaded: &Loaded) {
        let told = Told::of(loaded);
        for problem in told.problems.iter().filter(|problem| !locked(&self.shared.told).problems.contains(problem)) {
            tracing::warn!("{problem}");
        }
        *locked(&self.shared.told) = told;
    }

    /// There are settings that cannot be used; those in force are the same.
    fn tell_problem(&self, problem: String) {
        let mut told = locked(&self.shared.told);
        if told.problems != [problem.as_str()] {
            tracing::warn!("{problem}");
            told.problems = vec![problem];
        }
    }

    /// Changes whenever somebody who started the program once more wants to see its window.
    #[must_use]
    pub fn window_wanted(&self) -> watch::Receiver<u64> {
        self.shared.window_wanted.subscribe()
    }

    /// Completes when somebody has asked, through the control socket, that the agent end.
    pub async fn told_to_end(&self) {
        self.shared.end.notified().await;
    }

    /// Answers as the control socket does.
    pub async fn ask(&self, request: Request) -> Reply {
        self.shared.answer(request).await
    }

    /// Ends everything; what could not be sent is on disk when this returns.
    pub async fn stop(self) {
        let Self { shared, server, host, processes, provider, exporter, queue, lock, late_logs, recorders } = self;
        for recorder in recorders {
            recorder.abort();
            // Ended by the abort.
            let _ = recorder.await;
        }
        drop(server);
        if let Some(late_logs) = late_logs {
            late_logs.abort();
            // Ended by the abort, or long before.
            let _ = late_logs.await;
        }
        if let Some(receiver) = shared.receiver.write().await.take() {
            receiver.stop().await;
        }
        let logs = shared.logs().take();
        let focus = shared.focus.clone();
        // These wait for threads, which wait for the queue.
        let handed_over = tokio::task::spawn_blocking(move || {
            if let Some(logs) = logs {
                logs.stop();
            }
            if let Some(focus) = focus {
                focus.stop();
            }
            if let Err(error) = provider.shutdown() {
                tracing::warn!(%error, "the last export of metrics failed");
            }
            drop((host, processes));
        });
        if handed_over.await.is_err() {
            tracing::error!("a source ended by a panic");
        }
        shared.keep().await;
        exporter.stop(FLUSH_LIMIT).await;
        drop(shared);
        if tokio::task::spawn_blocking(move || queue.stop()).await.is_err() {
            tracing::error!("the queue ended by a panic");
        }
        tracing::info!("stopped");
        drop(lock);
    }
}

/// What the control socket answers from.
#[derive(Debug)]
struct Shared {
    data: DataDir,
    started_unix_ms: i64,
    endpoint: String,
    protocol: Protocol,
    policy: PolicySettings,
    consent: Mutex<Consent>,
    /// Held while a decision is carried out, so that two cannot overtake each other.
    consent_turn: tokio::sync::Mutex<()>,
    log_context: LogContext,
    /// None until the queue can tell how far log files have been read: before that they are left alone.
    logs: Mutex<Option<LogSource>>,
    /// None without the source, and once the agent ends.
    receiver: RwLock<Option<Receiver>>,
    deliveries: Vec<(Signal, watch::Receiver<Delivery>)>,
    stats: watch::Receiver<QueueStats>,
    saving: SavingSource,
    saving_interval: Duration,
    host: Option<Arc<HostSource>>,
    processes: Option<Arc<ProcessSource>>,
    focus: Option<Arc<FocusSource>>,
    /// `session.id`.
    session: String,
    queue: Queue,
    events: Events,
    spans: Spans,
    pause: Pause,
    clients: Clients,
    sent: Sent,
    hour: Mutex<Recorder>,
    /// How often somebody wanted to see the window.
    window_wanted: watch::Sender<u64>,
    /// Somebody wants the agent to end.
    end: Notify,
    told: Mutex<Told>,
}

/// What is said of the settings.
#[derive(Debug)]
struct Told {
    settings: Vec<SettingLine>,
    problems: Vec<String>,
}

impl Told {
    fn of(loaded: &Loaded) -> Self {
        let problems = loaded.problems.iter().map(ToString::to_string).collect();
        Self { settings: loaded.lines(), problems }
    }
}

impl Shared {
    fn status(&self) -> Status {
        let delivery = |of: Signal| {
            let found = self.deliveries.iter().find(|(signal, _)| *signal == of);
            found.map(|(_, delivery)| delivery.borrow().clone()).unwrap_or_default()
        };
        let consent = self.consent();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process_id: std::process::id(),
            started_unix_ms: self.started_unix_ms,
            taken_unix_ms: now_unix_ms(),
            data_dir: self.data.path().display().to_string(),
            health: Health::Starting,
            sentence: String::new(),
            collector: CollectorStatus {
                endpoint: self.endpoint.clone(),
                protocol: self.protocol.name().to_owned(),
                metrics: delivery(Signal::Metrics),
                traces: delivery(Signal::Traces),
                logs: delivery(Signal::Logs),
            },
            queue: self.stats.borrow().clone(),
            queue_is_known: self.queue.is_ready(),
            saving: *self.saving.watch().borrow(),
            saving_interval_ms: i64::try_from(self.saving_interval.as_millis()).unwrap_or(i64::MAX),
            logs: LogsStatus {
                shared: LogKind::ALL.into_iter().filter(|kind| consent.shares(*kind)).collect(),
                reading: match &*self.logs() {
                    Some(logs) => logs.watch().borrow().clone(),
                    None => LogStatus { waiting_for_room: true, ..LogStatus::default() },
                },
            },
            host: self.host.as_ref().map(|host| host.latest()).unwrap_or_default(),
            processes: self.processes.as_ref().map(|of| of.latest()).unwrap_or_default(),
            focus: self.focus.as_ref().map(|of| of.latest()).unwrap_or_default(),
            // It is locked for writing only while the agent ends.
            receiver: self.receiver.try_read().ok().and_then(|of| of.as_ref().map(Receiver::status)),
            paused_until_unix_ms: self.pause.until().map(jiff::Timestamp::as_millisecond),
            consent,
            policy: self.policy,
            problems: locked(&self.told).problems.clone(),
        };
        (status.health, status.sentence) = judge(&status);
        status
    }

    /// Metrics of the agent itself.
    fn tell_of_itself(self: &Arc<Self>, provider: &SdkMeterProvider, settings: &Settings) {
        let before = self.queue.is_ready().then(|| self.stats.borrow().counters.clone());
        let shared = Arc::downgrade(self);
        let look = Arc::new(move || shared.upgrade().map(|shared| shared.status()));
        internal::start(provider, &settings.collector, settings.queue.max_bytes.get(), before, look);
    }

    fn consent(&self) -> Consent {
        locked(&self.consent).clone()
    }

    fn logs(&self) -> MutexGuard<'_, Option<LogSource>> {
        locked(&self.logs)
    }

    fn start_logs(&self) -> io::Result<()> {
        let source = LogSource::start(self.log_context.clone(), self.consent())?;
        *self.logs() = Some(source);
        Ok(())
    }

    async fn start_logs_late(self: Arc<Self>) {
        self.queue.ready().await;
        // No decision is carried out meanwhile.
        let _turn = self.consent_turn.lock().await;
        if let Err(error) = self.start_logs() {
            tracing::error!(%error, "log files cannot be followed: a thread could not be started");
        }
    }

    fn pause_for(&self, until: PauseFor) -> Reply {
        if !self.policy.allow_pause && until != PauseFor::Now {
            return Reply::Failed { why: "Your organisation has set that there are no pauses.".to_owned() };
        }
        let until = until.end(&jiff::ZonedDateTime::now());
        tracing::info!(?until, "the user decided on a pause");
        if let Err(error) = self.pause.set(until) {
            tracing::warn!(%error, "the pause cannot be kept beyond the end of the agent");
        }
        Reply::Paused { until_unix_ms: self.pause.until().map(jiff::Timestamp::as_millisecond) }
    }

    async fn record_hour(self: Arc<Self>) {
        let cpus = logical_cpus().unwrap_or(1);
        loop {
            self.pause.over().await;
            let host = self.host.as_ref().map(|host| host.latest()).unwrap_or_default();
            let processes = self.processes.as_ref().map(|of| of.latest()).unwrap_or_default();
            locked(&self.hour).look(now_unix_ms(), &host, &processes, cpus);
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Answer for Shared {
    async fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Status => Reply::Status(Box::new(self.status())),
            Request::ShareLogs { kinds, shared } => match self.share_logs(&kinds, shared).await {
                Ok(deleted) => Reply::LogsShared { deleted },
                Err(why) => Reply::Failed { why },
            },
            Request::Pause { until } => self.pause_for(until),
            Request::Hour => Reply::Hour(locked(&self.hour).hour()),
            Request::Sent { signal } => Reply::Sent { batches: self.sent.of(signal) },
            Request::DeleteHistory => {
                self.sent.forget();
                *locked(&self.hour) = Recorder::default();
                if let Some(focus) = &self.focus {
                    focus.forget();
                    self.keep().await;
                }
                Reply::Done
            }
            Request::Usage { days } => Reply::Usage(self.usage(days)),
            Request::TestConnection => Reply::Tested { probes: probe(&self.clients).await },
            Request::Settings => Reply::Settings { settings: locked(&self.told).settings.clone() },
            Request::OpenWindow => {
                if self.window_wanted.receiver_count() == 0 {
                    return Reply::Failed { why: "the agent has no window of its own".to_owned() };
                }
                self.window_wanted.send_modify(|times| *times += 1);
                Reply::Done
            }
            Request::End => {
                self.end.notify_one();
                Reply::Done
            }
            Request::Welcomed => self.welcomed().await,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
