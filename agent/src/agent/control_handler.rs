//! Answers the requests of the window, the tray and the command line.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::consent_service::ConsentService;
use super::session_reporting::SessionReporter;
use super::status_assembler::StatusAssembler;
use crate::control::{Answer, Reply, Request};
use crate::pause::PauseFor;
use crate::pipeline::exporter::{Clients, RecentBatches, probe};
use crate::recent_load::{LoadRecorder, SAMPLE_INTERVAL};
use crate::sources::host::logical_cpus;
use crate::time::now_unix_ms;

/// The answer to a pause that the policy does not allow.
const NO_PAUSE: &str = "Your organisation has turned off pausing.";

/// Everything that requests are answered from.
#[derive(Debug)]
pub(super) struct ControlHandler {
    pub(super) status: Arc<StatusAssembler>,
    pub(super) consent: Arc<ConsentService>,
    pub(super) sessions: Arc<SessionReporter>,
    pub(super) clients: Clients,
    pub(super) recent_batches: RecentBatches,
    pub(super) load: Mutex<LoadRecorder>,
    /// How often a user has asked for the window.
    pub(super) window_requests: watch::Sender<u64>,
    /// Notified when another program asks the agent to shut down.
    pub(super) shutdown: Notify,
}

impl ControlHandler {
    /// Records the load of the last hour until aborted.
    pub(super) async fn record_load(self: Arc<Self>) {
        let cpus = logical_cpus().unwrap_or(1);
        loop {
            self.status.pause.over().await;
            let reports = self.status.sources.report();
            self.load.lock().add(now_unix_ms(), &reports.host, &reports.processes, cpus);
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        }
    }

    fn pause_for(&self, until: PauseFor) -> Reply {
        if !self.status.policy.allow_pause && until != PauseFor::Resume {
            return Reply::Failed { why: NO_PAUSE.to_owned() };
        }
        let until = until.end(&jiff::ZonedDateTime::now());
        tracing::info!(?until, "pause changed by the user");
        let pause = &self.status.pause;
        if let Err(error) = pause.set(until) {
            tracing::warn!("failed to save the pause; it is in force until the agent ends: {error:#}");
        }
        Reply::Paused { until_unix_ms: pause.until().map(jiff::Timestamp::as_millisecond) }
    }

    fn open_window(&self) -> Reply {
        if self.window_requests.receiver_count() == 0 {
            return Reply::Failed { why: "this agent runs without a tray and has no window".to_owned() };
        }
        self.window_requests.send_modify(|requests| *requests += 1);
        Reply::Done
    }

    async fn delete_history(&self) -> Reply {
        self.recent_batches.clear();
        *self.load.lock() = LoadRecorder::default();
        self.sessions.delete_history().await;
        Reply::Done
    }
}

impl Answer for ControlHandler {
    async fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Status => Reply::Status(Box::new(self.status.status())),
            Request::ShareLogs { kinds, shared } => match self.consent.share_logs(&kinds, shared).await {
                Ok(deleted) => Reply::LogsShared { deleted },
                Err(error) => Reply::Failed { why: error.to_string() },
            },
            Request::Pause { until } => self.pause_for(until),
            Request::RecentLoad => Reply::RecentLoad(self.load.lock().last_hour()),
            Request::RecentBatches { signal } => Reply::RecentBatches { batches: self.recent_batches.of(signal) },
            Request::DeleteHistory => self.delete_history().await,
            Request::Usage { days } => Reply::Usage(self.sessions.usage(days)),
            Request::TestConnection => Reply::Tested { probes: probe(&self.clients).await },
            Request::Settings => Reply::Settings { settings: self.status.settings.lock().lines.clone() },
            Request::OpenWindow => self.open_window(),
            Request::Shutdown => {
                self.shutdown.notify_one();
                Reply::Done
            }
            Request::Welcomed => {
                self.consent.record_asked().await;
                Reply::Done
            }
        }
    }
}
