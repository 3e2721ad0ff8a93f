//! What the platform and its apps send by themselves: OTLP on loopback, into the queue.
//!
//! Both ports take OTLP/gRPC and OTLP/HTTP, with protobuf or JSON, on both loopback addresses and on no other. A request
//! goes one way: [`serve`] (connections) to [`gate`] (who may ask), [`http`] or [`grpc`] (in which form), [`body`], then
//! [`intake`] (pause, consent) and there [`prepare`]: [`json`] is made protobuf, [`schema`] bounds what is decoded, [`views`]
//! measures, [`sampling`] leaves out, [`hide`] redacts, [`enrich`] says whose machine, user and session it is. Then it goes into
//! the queue, and is acknowledged once it is on disk, so whoever sends need not keep it any longer.
//!
//! Invariants: a payload stays byte for byte what it was but for the attributes that are added to its resources; only where a
//! text is hidden, spans are left out, or it has to be parted, is it encoded anew. Nothing of a log record is kept unless the
//! user shares the logs of applications. What a request takes in memory is known before it is decoded.
//!
//! **`receiver.json`** in the data folder says where it listens, for programs that do not know the ports, as long as the
//! agent runs: `{"http": "http://127.0.0.1:4318", "grpc": "http://127.0.0.1:4317", "pid": 4711}`. An agent that was killed leaves
//! it behind; then there is no process of that number, or nobody answers.

mod body;
pub mod enrich;
mod gate;
mod grpc;
mod hide;
mod http;
mod intake;

mod listen;
mod prepare;
mod refusal;
mod sampling;

mod serve;
pub mod trial;
mod views;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::{Source, SourceContext, SourceReports};
use crate::config::{CollectorSettings, ReceiverSettings, Settings};
use crate::consent::{Consent, LogKind};
use crate::otlp::Signal;
use crate::paths::write_atomically;
use crate::pause::Pause;
use crate::pipeline::queue::Queue;
use crate::redaction::LazyRedactor;
use crate::resource::Resource;

use self::http::Server;
use self::intake::Intake;
use self::serve::MOST_CONNECTIONS;

/// How long requests that are under way may take once the agent ends: a part of the 2 s that a logoff gives.
const GRACE: Duration = Duration::from_millis(300);

/// How the receiver is, and what it has done since the agent started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceiverStatus {
    /// Where OTLP/HTTP is expected: `http://127.0.0.1:4318`. None if it does not listen.
    pub http: Option<String>,
    /// Where OTLP/gRPC is expected.
    pub grpc: Option<String>,
    /// Why it does not listen, or not where it should.
    pub problem: Option<String>,
    /// Items (spans, data points, log records) that were taken, by signal.
    pub taken: BTreeMap<Signal, u64>,
    /// Log records that were not taken because the user does not share them.
    pub not_shared: u64,
    /// Spans that were taken and left out, as `receiver.sampling` has it.
    pub sampled_out: u64,
    /// Requests that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Origin of the web page that was last refused: what `receiver.allowed_origins` would have to take.
    pub refused_origin: Option<String>,
}

/// What the receiver works with.
#[derive(Debug)]
pub struct ReceiverContext {
    /// How.
    pub settings: ReceiverSettings,
    /// Where the data goes in the end. Those ports are left alone, should they be of this machine.
    pub collector: CollectorSettings,
    /// The hand-off.
    pub queue: Queue,
    /// What is added to each resource.
    pub resource: Resource,
    /// What is hidden in log records.
    pub redactor: Arc<LazyRedactor>,
    /// Makes the metrics of spans.
    pub provider: SdkMeterProvider,
    /// Nothing is taken meanwhile.
    pub pause: Pause,
    /// The file that says where it listens.
    pub published: PathBuf,
}

/// The running receiver.
#[derive(Debug)]
pub struct Receiver {
    intake: Arc<Intake>,
    status: Arc<Mutex<ReceiverStatus>>,
    published: PathBuf,
    stop: watch::Sender<bool>,
    places: Arc<Semaphore>,
    servers: Mutex<Vec<JoinHandle<()>>>,
}

#[async_trait]
impl Source for Receiver {
    fn is_enabled(settings: &Settings) -> bool {
        settings.receiver.enabled
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        let SourceContext { settings, data, resource, queue, provider, pause, redactor, consent } = context;
        let context = ReceiverContext {
            settings: settings.receiver.clone(),
            collector: settings.collector.clone(),
            queue: queue.clone(),
            resource: resource.clone(),
            redactor: Arc::clone(redactor),
            provider: provider.clone(),
            pause: pause.clone(),
            published: data.receiver(),
        };
        Ok(Self::listen(context, consent.shares(LogKind::Applications)))
    }

    fn report(&self, reports: &mut SourceReports) {
        reports.receiver = Some(self.status());
    }

    /// When this returns, every request that began under another consent is in the queue or refused.
    async fn set_consent(&self, consent: &Consent) {
        self.intake.share_logs(consent.shares(LogKind::Applications)).await;
    }

    /// Accepts no more requests, and waits a moment for those that are being handled.
    async fn stop(&self) {
        // Without a server nobody listens to it.
        let _ = self.stop.send(true);
        let servers = std::mem::take(&mut *self.servers.lock());
        let all = async {
            for server in servers {
                // It can only have been aborted.
                let _ = server.await;
            }
            let most = u32::try_from(MOST_CONNECTIONS).unwrap_or(u32::MAX);
            // The semaphore is never closed.
            let _ = self.places.acquire_many(most).await;
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::debug!("requests to the receiver were under way when it ended");
        }
        if let Err(error) = std::fs::remove_file(&self.published) {
            tracing::debug!("failed to delete receiver.json: {error:#}");
        }
    }
}

impl Receiver {
    /// Listens, on the current tokio runtime. A port that is not available is no error: see [`ReceiverStatus::problem`].
    /// `shares_logs` is whether the user shares the logs of applications.
    #[must_use]
    pub fn listen(context: ReceiverContext, shares_logs: bool) -> Self {
        let status = Arc::new(Mutex::new(ReceiverStatus::default()));
        let intake = Arc::new(Intake::new(&context, shares_logs, Arc::clone(&status)));
        let ReceiverContext { settings, collector, published, .. } = context;
        let server = Arc::new(Server::new(&settings, Arc::clone(&intake)));
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let mut problems = Vec::new();
        let mut listen = |name: &str, wanted: u16| {
            let (listeners, problem) = listen::bind(wanted, &collector);
            problems.extend(problem.map(|problem| format!("OTLP over {name}: {problem}")));
            let port = listeners.first().and_then(|listener| listener.local_addr().ok()).map(|address| address.port());
            for listener in listeners {
                let answering = serve::serve(listener, Arc::clone(&server), Arc::clone(&places), stopped.clone());
                servers.push(tokio::spawn(answering));
            }
            port.map(|port| format!("http://127.0.0.1:{port}"))
        };
        let http = listen("HTTP", settings.http_port);
        let grpc = listen("gRPC", settings.grpc_port);
        let problem = (!problems.is_empty()).then(|| problems.join(" "));
        if let Some(problem) = &problem {
            tracing::warn!(problem, "the receiver");
        }
        let where_it_listens = serde_json::json!({ "http": http, "grpc": grpc, "pid": std::process::id() });
        if let Err(error) = write_atomically(&published, where_it_listens.to_string().as_bytes()) {
            tracing::warn!(%error, "where the receiver listens could not be written down");
        }
        *status.lock() = ReceiverStatus { http, grpc, problem, ..ReceiverStatus::default() };
        Self { intake, status, published, stop, places, servers: Mutex::new(servers) }
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> ReceiverStatus {
        self.status.lock().clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
