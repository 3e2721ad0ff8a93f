//! Sends queued data to the collector.
//!
//! Each signal has its own lane ([`lane`]): a task that takes the oldest batch, sends it, and
//! carries out what [`decide`] says about the answer. A collector without a pipeline for logs
//! therefore does not stop the metrics. Each lane publishes its state as a [`Delivery`] after every
//! change.

#[cfg(windows)]
mod cert_store;
mod client;
mod clients;
mod connection;
mod credentials;
mod decision;
mod error;
mod export_duration;
mod failure;
mod lane;
mod oauth2;
mod probe;
mod recent_batches;
mod secrets;
mod send_schedule;
mod sentence;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use client::Client;
pub use clients::Clients;
pub use connection::install_crypto_provider;
pub use decision::{Decision, Outcome, decide};
pub use error::ClientError;
pub use export_duration::ExportDuration;
pub use failure::Failure;
pub use probe::{Probe, probe};
pub use recent_batches::{RecentBatches, SentBatch};
pub use send_schedule::{PowerSaving, SendSchedule};

use self::lane::Lane;
use super::queue::Queue;
use crate::otlp::Signal;
use crate::pause::Pause;

/// The state of a lane, and the results of its last deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delivery {
    /// The state of the lane.
    pub state: LaneState,
    /// When the collector last acknowledged a batch.
    pub acknowledged_unix_ms: Option<i64>,
    /// Number of items acknowledged since the agent started.
    pub acknowledged_items: u64,
    /// Number of items rejected in partial successes since the agent started.
    pub rejected_items: u64,
    /// The last failure, or the collector's message about rejected items. Cleared by the next full
    /// success.
    pub problem: Option<Problem>,
}

/// The state of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// The lane is idle, or the next batch is being sent.
    #[default]
    Working,
    /// A batch could not be delivered. It is sent again at `again_unix_ms` of `Delivery::problem`.
    Retrying,
    /// The settings are wrong. The lane retries every 30 to 60 seconds.
    Held,
}

/// A delivery problem, described for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// When it occurred.
    pub at_unix_ms: i64,
    /// What is wrong, where, what to do.
    pub sentence: String,
    /// When the batch is sent again; none if it is not.
    pub again_unix_ms: Option<i64>,
}

/// The running lanes.
#[derive(Debug)]
pub struct Exporter {
    lanes: JoinSet<()>,
    stop: watch::Sender<bool>,
    deliveries: Vec<(Signal, watch::Receiver<Delivery>)>,
    recent_batches: RecentBatches,
}

impl Exporter {
    /// Starts a lane for each signal on the current tokio runtime. Lanes do not send during a
    /// pause. `duration` creates the recorder of a signal's export durations.
    #[must_use]
    pub fn start(
        queue: &Queue,
        clients: &Clients,
        pause: &Pause,
        schedule: &SendSchedule,
        duration: impl Fn(Signal) -> ExportDuration,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut lanes = JoinSet::new();
        let mut deliveries = Vec::new();
        let recent_batches = RecentBatches::default();
        for signal in Signal::ALL {
            let (publish, delivery) = watch::channel(Delivery::default());
            let lane = Lane {
                signal,
                queue: queue.clone(),
                client: clients.of(signal).clone(),
                fallback: clients.fallback().cloned(),
                failover: None,
                stats: queue.watch(),
                stop: stopped.clone(),
                pause: pause.clone(),
                schedule: schedule.clone(),
                was_idle: true,
                delivery: publish,
                recent_batches: recent_batches.clone(),
                failures: 0,
                duration: duration(signal),
            };
            lanes.spawn(lane.run());
            deliveries.push((signal, delivery));
        }
        Self { lanes, stop, deliveries, recent_batches }
    }

    /// Returns receivers for the state of each signal's lane.
    #[must_use]
    pub fn watch(&self) -> Vec<(Signal, watch::Receiver<Delivery>)> {
        self.deliveries.clone()
    }

    /// Returns the batches that the collector accepted last.
    #[must_use]
    pub fn recent_batches(&self) -> RecentBatches {
        self.recent_batches.clone()
    }

    /// Stops the lanes. Queued batches are still sent, until the first failure or until `limit` has
    /// passed.
    pub async fn stop(mut self, limit: Duration) {
        let _ = self.stop.send(true);
        let all = async { while self.lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::info!("time limit for the last delivery reached; unsent data stays in the queue");
        }
    }
}
