//! What the platform and its apps send by themselves: OTLP on loopback, into the queue.
//!
//! Both ports take OTLP/gRPC and OTLP/HTTP, with protobuf or JSON, on both loopback addresses and on no other. A request
//! goes one way: [`serve`] (connections) to [`http`] (who may ask, in which form) or [`grpc`], [`body`], then [`intake`] (pause,
//! consent; [`views`] makes metrics, [`sampling`] leaves out, [`hide`] redacts), then [`enrich`] (whose machine, user and
//! session it is), then the queue. It is acknowledged once it is on disk, so whoever sends need not keep it any longer.
//!
//! Invariants: a payload stays byte for byte what it was but for the attributes that are added to its resources, for
//! hidden texts, and for spans that are left out; nothing of a log record is kept unless the user shares the logs of applications.
//!
//! **`receiver.json`** in the data folder says where it listens, for programs that do not know the ports, as long as the
//! agent runs: `{"http": "http://127.0.0.1:4318", "grpc": "http://127.0.0.1:4317"}`.

mod body;
pub mod enrich;
mod grpc;
mod hide;
mod http;
mod intake;
mod sampling;
mod serve;
mod views;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::host::locked;
use crate::config::{Endpoint, ReceiverSettings};
use crate::paths::write_atomically;
use crate::pause::Pause;
use crate::pipeline::Signal;
use crate::pipeline::queue::Queue;
use crate::redaction::LazyRedactor;
use crate::resource::Resource;

use self::http::Gate;
use self::intake::Intake;

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
    /// Where the data goes in the end. That port is left alone, should it be one of this machine.
    pub collector: Endpoint,
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
    servers: Vec<JoinHandle<()>>,
}

impl Receiver {
    /// Listens, on the current tokio runtime. A port that cannot be had is no error: see [`ReceiverStatus::problem`].
    /// `shares_logs` is whether the user shares the logs of applications.
    #[must_use]
    pub fn start(context: ReceiverContext, shares_logs: bool) -> Self {
        let status = Arc::new(Mutex::new(ReceiverStatus::default()));
        let intake = Arc::new(Intake::new(&context, shares_logs, Arc::clone(&status)));
        let ReceiverContext { settings, collector, published, .. } = context;
        let gate = Arc::new(Gate::new(&settings, Arc::clone(&intake)));
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let mut problems = Vec::new();
        let mut listen = |name: &str, wanted: u16| {
            let (listeners, problem) = bind(wanted, taken_by_collector(&collector, wanted));
            problems.extend(problem.map(|problem| format!("OTLP over {name}: {problem}")));
            let port = listeners.first().and_then(|listener| listener.local_addr().ok()).map(|address| address.port());
            for listener in listeners {
                servers.push(tokio::spawn(serve::serve(listener, Arc::clone(&gate), stopped.clone())));
            }
            port.map(|port| format!("http://127.0.0.1:{port}"))
        };
        let http = listen("HTTP", settings.http_port);
        let grpc = listen("gRPC", settings.grpc_port);
        let problem = (!problems.is_empty()).then(|| problems.join(" "));
        if let Some(problem) = &problem {
            tracing::warn!(problem, "the receiver");
        }
        let places = serde_json::json!({ "http": http, "grpc": grpc });
        if let Err(error) = write_atomically(&published, places.to_string().as_bytes()) {
            tracing::warn!(%error, "where the receiver listens could not be written down");
        }
        *locked(&status) = ReceiverStatus { http, grpc, problem, ..ReceiverStatus::default() };
        Self { intake, status, published, stop, servers }
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> ReceiverStatus {
        locked(&self.status).clone()
    }

    /// The user has decided on the logs of applications. When this returns, every request that began under another
    /// decision is in the queue or refused.
    pub async fn share_logs(&self, shared: bool) {
        self.intake.share_logs(shared).await;
    }

    /// Takes no more requests, and waits a moment for those that are under way.
    pub async fn stop(mut self) {
        // Without a server nobody listens to it.
        let _ = self.stop.send(true);
        let all = async {
            for server in &mut self.servers {
                // It can only have been aborted.
                let _ = server.await;
            }
        };
        let in_time = tokio::time::timeout(GRACE, all).await.is_ok();
        if !in_time {
            self.servers.iter().for_each(JoinHandle::abort);
        }
        if let Err(error) = std::fs::remove_file(&self.published) {
            tracing::debug!(%error, "the file that says where the receiver listens is gone already");
        }
    }
}

/// An agent that took its collector's port would send to itself.
fn taken_by_collector(collector: &Endpoint, port: u16) -> bool {
    let url = collector.url();
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    is_here && url.port_or_known_default() == Some(port)
}

/// Listens on a port of both loopback addresses; on a free one if it is taken. IPv6 may be switched off.
fn bind(wanted: u16, is_collectors: bool) -> (Vec<TcpListener>, Option<String>) {
    let (port, mut problem) = match wanted {
        0 => (0, None),
        _ if is_collectors => (0, Some(format!("port {wanted} is the collector's, a free one is used instead."))),
        _ => (wanted, None),
    };
    let first = listen(Ipv4Addr::LOCALHOST.into(), port).or_else(|error| {
        problem = Some(format!("port {port} cannot be used ({error}), a free one is used instead."));
        listen(Ipv4Addr::LOCALHOST.into(), 0)
    });
    match first {
        Ok(first) => {
            let same = first.local_addr().map_or(0, |address| address.port());
            let second = listen(Ipv6Addr::LOCALHOST.into(), same);
            (std::iter::once(first).chain(second.ok()).collect(), problem)
        }
        Err(error) => (Vec::new(), Some(format!("the system lets nobody listen: {error}."))),
    }
}

fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(SocketAddr::new(address, port))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
