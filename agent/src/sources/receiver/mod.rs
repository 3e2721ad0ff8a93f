//! The local OTLP receiver: accepts telemetry of io.Connect and its apps on loopback, and puts it
//! into the queue.
//!
//! Both ports accept OTLP/gRPC and OTLP/HTTP, with protobuf or JSON, on `127.0.0.1` and `::1` only.
//!
//! A request passes these modules in this order:
//!
//! 1. [`serve`] limits connections.
//! 2. [`access`] checks host, origin and token; [`cors`] answers browsers.
//! 3. [`http`] or [`grpc`] reads the headers of the protocol; [`body`] reads the body.
//! 4. [`ingest`] checks pause and consent, and calls [`prepare`] on a blocking thread.
//! 5. [`prepare`] converts JSON to protobuf and checks the decoded size ([`crate::otlp`]), measures
//!    spans ([`span_metrics`]), samples traces ([`sampling`]), redacts ([`redact`]) and adds the
//!    attributes of machine, user and session ([`enrich`]).
//! 6. [`ingest`] appends the batches to the queue and acknowledges the request.
//!
//! **Invariants**
//!
//! - A request is acknowledged only after it is in the on-disk queue, so the sender can forget it.
//! - A payload stays the same byte for byte, except for the attributes that are added to its
//!   resources. It is encoded again only if something was redacted, sampled out or split.
//! - No part of a log record is kept unless the user shares application logs.
//! - The memory that a request needs is known before it is decoded.
//!
//! **`receiver.json`** in the data folder lists the addresses while the agent runs, for programs
//! that do not know the ports: `{"http": "http://127.0.0.1:4318", "grpc": "http://127.0.0.1:4317",
//! "pid": 4711}`. After a crash the file remains; then no process with that `pid` exists, or the
//! port does not answer.

mod access;
mod body;
mod cors;
pub mod enrich;
pub mod fuzzing;
mod grpc;
mod http;
mod ingest;
mod listen;
mod prepare;
mod redact;
mod rejection;
mod sampling;
mod serve;
mod span_metrics;

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
use self::ingest::Ingest;
use self::serve::MAX_CONNECTIONS;

/// Maximum time for requests in progress when the receiver stops: a part of the 2 s that a logoff
/// allows.
const STOP_TIMEOUT: Duration = Duration::from_millis(300);

/// The receiver's addresses, problems and counters since the agent started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceiverStatus {
    /// Address for OTLP/HTTP, as in `http://127.0.0.1:4318`. None if the receiver does not listen.
    pub http: Option<String>,
    /// Address for OTLP/gRPC.
    pub grpc: Option<String>,
    /// Why the receiver does not listen, or not as configured.
    pub problem: Option<String>,
    /// Accepted items (spans, data points, log records) by signal.
    pub taken: BTreeMap<Signal, u64>,
    /// Log records that were not accepted because the user does not share them.
    pub not_shared: u64,
    /// Accepted spans that were dropped by `receiver.sampling`.
    pub sampled_out: u64,
    /// Rejected requests by reason.
    pub refused: BTreeMap<String, u64>,
    /// Origin of the web page that was rejected last. To accept it, add it to
    /// `receiver.allowed_origins`.
    pub refused_origin: Option<String>,
}

/// The inputs of the receiver.
#[derive(Debug)]
pub struct ReceiverContext {
    /// The receiver's settings.
    pub settings: ReceiverSettings,
    /// The destinations of exports. Their ports on this machine are not used for listening.
    pub collector: CollectorSettings,
    /// The queue for accepted requests.
    pub queue: Queue,
    /// The attributes to add to each resource.
    pub resource: Resource,
    /// The redaction of log records and spans.
    pub redactor: Arc<LazyRedactor>,
    /// Creates the instruments of the metrics from spans.
    pub provider: SdkMeterProvider,
    /// While it is on, requests are rejected.
    pub pause: Pause,
    /// Path of `receiver.json`.
    pub published: PathBuf,
}

/// The running receiver.
#[derive(Debug)]
pub struct Receiver {
    ingest: Arc<Ingest>,
    status: Arc<Mutex<ReceiverStatus>>,
    published: PathBuf,
    stop: watch::Sender<bool>,
    connection_slots: Arc<Semaphore>,
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

    /// Applies the consent. When this returns, every request that began under another consent is in
    /// the queue or rejected.
    async fn set_consent(&self, consent: &Consent) {
        self.ingest.share_logs(consent.shares(LogKind::Applications)).await;
    }

    /// Accepts no more requests, and waits a moment for those in progress.
    async fn stop(&self) {
        // Fails only if nothing listens.
        let _ = self.stop.send(true);
        let servers = std::mem::take(&mut *self.servers.lock());
        let finished = async {
            for server in servers {
                // Fails only if the task panicked or was aborted.
                let _ = server.await;
            }
            // All slots are free when no connection is open. The semaphore is never closed.
            let slots = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
            let _ = self.connection_slots.acquire_many(slots).await;
        };
        if tokio::time::timeout(STOP_TIMEOUT, finished).await.is_err() {
            tracing::debug!("requests to the receiver were in progress when it stopped");
        }
        if let Err(error) = std::fs::remove_file(&self.published) {
            tracing::debug!("failed to delete receiver.json: {error:#}");
        }
    }
}

impl Receiver {
    /// Starts listening, on the current tokio runtime. A port that is not available is not an
    /// error: see [`ReceiverStatus::problem`]. `shares_logs` is whether the user shares application
    /// logs.
    #[must_use]
    pub fn listen(context: ReceiverContext, shares_logs: bool) -> Self {
        let status = Arc::new(Mutex::new(ReceiverStatus::default()));
        let ingest = Arc::new(Ingest::new(&context, shares_logs, Arc::clone(&status)));
        let ReceiverContext { settings, collector, published, .. } = context;
        let server = Arc::new(Server::new(&settings, Arc::clone(&ingest)));
        let connection_slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let mut problems = Vec::new();
        let mut listen = |protocol: &str, wanted: u16| {
            let (listeners, problem) = listen::bind(wanted, &collector);
            problems.extend(problem.map(|problem| format!("OTLP over {protocol}: {problem}")));
            let port = listeners.first().and_then(|listener| listener.local_addr().ok()).map(|address| address.port());
            for listener in listeners {
                let slots = Arc::clone(&connection_slots);
                servers.push(tokio::spawn(serve::serve(listener, Arc::clone(&server), slots, stopped.clone())));
            }
            port.map(|port| format!("http://127.0.0.1:{port}"))
        };
        let http = listen("HTTP", settings.http_port);
        let grpc = listen("gRPC", settings.grpc_port);
        let problem = (!problems.is_empty()).then(|| problems.join(" "));
        if let Some(problem) = &problem {
            tracing::warn!(problem, "the receiver does not listen as configured");
        }
        let addresses = serde_json::json!({ "http": http, "grpc": grpc, "pid": std::process::id() });
        if let Err(error) = write_atomically(&published, addresses.to_string().as_bytes()) {
            tracing::warn!("failed to write receiver.json: {error:#}");
        }
        *status.lock() = ReceiverStatus { http, grpc, problem, ..ReceiverStatus::default() };
        Self { ingest, status, published, stop, connection_slots, servers: Mutex::new(servers) }
    }

    /// Returns the current status.
    #[must_use]
    pub fn status(&self) -> ReceiverStatus {
        self.status.lock().clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
