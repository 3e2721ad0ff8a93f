//! From the queue to the collector.
//!
//! Each signal has a lane of its own: one task that takes the oldest batch, sends it, and does what [`decide`] says of
//! the answer. So a collector without a pipeline for logs does not stop the metrics. What a lane is doing is published
//! as a [`Delivery`] after every change.

#[cfg(windows)]
mod cert_store;
mod client;
mod clients;
mod connection;
mod credentials;
mod decision;
mod error;
mod failure;

mod oauth2;
mod operations;
mod pace;
mod secrets;
mod sent;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use client::Client;
pub use clients::Clients;
pub use connection::choose_cryptography;
pub use decision::{Decision, Outcome, decide};
pub use error::ClientError;
pub use failure::Failure;
pub use operations::Operations;
pub use pace::{Pace, Saving};
pub use sent::{Sent, SentBatch};

use super::queue::{Batch, DropReason, Queue, QueueStats};
use crate::otlp::{Compression, Signal};
use crate::pause::Pause;
use crate::time::now_unix_ms;

/// Pause before the queue is asked again for a batch that it holds and could not read.
const READ_PAUSE: Duration = Duration::from_secs(5);

/// How long batches go to the fallback before the first collector is tried again.
const DETOUR: Duration = Duration::from_mins(1);

/// What a lane is doing, and how the last deliveries went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delivery {
    /// What it is doing.
    pub state: LaneState,
    /// When the collector last acknowledged a batch.
    pub acknowledged_unix_ms: Option<i64>,
    /// Items acknowledged since the start of the program.
    pub acknowledged_items: u64,
    /// Items that the collector refused in partial successes since the start of the program.
    pub rejected_items: u64,
    /// What went wrong last, or what the collector said of rejected items; gone with the next full success.
    pub problem: Option<Problem>,
}

/// What a lane is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Nothing waits, or the next batch is on its way.
    #[default]
    Working,
    /// A batch could not be delivered; it is sent again at `Delivery::problem`'s `again_unix_ms`.
    Retrying,
    /// The settings are wrong; it is tried again slowly.
    Held,
}

/// What went wrong, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// When.
    pub at_unix_ms: i64,
    /// What is wrong, where, what to do.
    pub sentence: String,
    /// When it will be tried again.
    pub again_unix_ms: Option<i64>,
}

/// The running lanes.
#[derive(Debug)]
pub struct Exporter {
    lanes: JoinSet<()>,
    stop: watch::Sender<bool>,
    deliveries: Vec<(Signal, watch::Receiver<Delivery>)>,
    sent: Sent,
}

impl Exporter {
    /// Starts a lane for every signal, on the current tokio runtime. They rest while there is a pause. `operations` tells how
    /// long the exports of a signal take.
    #[must_use]
    pub fn start(
        queue: &Queue,
        clients: &Clients,
        pause: &Pause,
        pace: &Pace,
        operations: impl Fn(Signal) -> Operations,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut lanes = JoinSet::new();
        let mut deliveries = Vec::new();
        let sent = Sent::default();
        for signal in Signal::ALL {
            let (publish, delivery) = watch::channel(Delivery::default());
            let lane = Lane {
                signal,
                queue: queue.clone(),
                client: clients.of(signal).clone(),
                fallback: clients.fallback().cloned(),
                detour: None,
                stats: queue.watch(),
                stop: stopped.clone(),
                pause: pause.clone(),
                pace: pace.clone(),
                is_rested: true,
                publish,
                sent: sent.clone(),
                failures: 0,
                operations: operations(signal),
            };
            lanes.spawn(lane.run());
            deliveries.push((signal, delivery));
        }
        Self { lanes, stop, deliveries, sent }
    }

    /// What the lane of each signal is doing, now and after every change.
    #[must_use]
    pub fn watch(&self) -> Vec<(Signal, watch::Receiver<Delivery>)> {
        self.deliveries.clone()
    }

    /// What was sent last.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.sent.clone()
    }

    /// Sends what waits, as long as it goes without fault and within `limit`, and ends.
    pub async fn stop(mut self, limit: Duration) {
        let _ = self.stop.send(true);
        let all = async { while self.lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::info!("the time to send the rest is over; it stays in the queue");
        }
    }
}

/// Why, and until when, batches go to the fallback at once.
struct Detour {
    until: Instant,
    sentence: String,
}

struct Lane {
    signal: Signal,
    queue: Queue,
    client: Client,
    fallback: Option<Client>,
    /// While the fallback is used: until when, and why.
    detour: Option<Detour>,
    stats: watch::Receiver<QueueStats>,
    stop: watch::Receiver<bool>,
    pause: Pause,
    pace: Pace,
    /// Nothing waited before what waits now.
    is_rested: bool,
    publish: watch::Sender<Delivery>,
    sent: Sent,
    failures: u32,
    operations: Operations,
}

impl Lane {
    async fn run(mut self) {
        while let Some(batch) = self.next().await {
            self.operations.begin(batch.id);
            let outcome = self.deliver(&batch).await;
            let decision = decide(&outcome);
            if !matches!(decision, Decision::Retry { .. } | Decision::Hold) {
                self.operations.end(&outcome);
            }
            let wait = match decision {
                Decision::Done => {
                    self.acknowledge(&batch, &outcome).await;
                    None
                }
                Decision::Retry { at_least } => {
                    self.failures = self.failures.saturating_add(1);
                    Some((LaneState::Retrying, decision::backoff(self.failures, at_least, fastrand::f64())))
                }
                Decision::Hold => Some((LaneState::Held, decision::hold(fastrand::f64()))),
                Decision::Split => {
                    self.problem(&outcome, LaneState::Working, None);
                    self.queue.split(batch).await;
                    None
                }
                Decision::Drop => {
                    self.problem(&outcome, LaneState::Working, None);
                    let damaged = matches!(outcome, Outcome::Damaged(_));
                    let reason = if damaged { DropReason::Damaged } else { DropReason::Refused };
                    self.queue.drop_batch(batch.id, reason).await;
                    None
                }
            };
            if let Some((state, wait)) = wait {
                self.problem(&outcome, state, Some(wait));
                let stopped = self.stop.wait_for(|stop| *stop);
                if tokio::time::timeout_at(Instant::now() + wait, stopped).await.is_ok() {
                    return;
                }
            }
        }
    }

    /// Sends a batch once, where it is taken.
    async fn deliver(&mut self, batch: &Batch) -> Outcome {
        let Some(fallback) = self.fallback.clone() else { return self.client.send(batch).await };
        let mut first = None;
        if self.detour.as_ref().is_none_or(|detour| detour.until <= Instant::now()) {
            let outcome = self.client.send(batch).await;
            if !matches!(decide(&outcome), Decision::Retry { .. } | Decision::Hold) {
                self.detour = None;
                return outcome;
            }
            let sentence = sentence(&outcome, self.signal, &self.client.address());
            self.detour = Some(Detour { until: Instant::now() + DETOUR, sentence });
            first = Some(outcome);
        }
        let second = fallback.send(batch).await;
        match decide(&second) {
            Decision::Retry { .. } | Decision::Hold => {
                // Neither takes anything: both are tried again.
                self.detour = None;
                first.unwrap_or(second)
            }
            Decision::Done | Decision::Split | Decision::Drop => second,
        }
    }

    /// Who takes the batches at the moment.
    fn address(&self) -> String {
        let fallback = self.fallback.as_ref().filter(|_| self.detour.is_some());
        fallback.unwrap_or(&self.client).address()
    }

    /// The next batch; none when the agent stops and nothing waits, or in a pause.
    async fn next(&mut self) -> Option<Batch> {
        loop {
            tokio::select! {
                biased;
                () = self.pause.over() => {}
                _ = self.stop.wait_for(|stop| *stop) => return None,
            }
            // Marked as seen before looking, so that no append between looking and waiting is missed.
            let held = self.stats.borrow_and_update().of(self.signal).batches > 0;
            if held && std::mem::take(&mut self.is_rested) {
                let mut pace = self.pace.clone();
                tokio::select! {
                    () = pace.gather(self.signal) => {}
                    _ = self.stop.wait_for(|stop| *stop) => {}
                    _ = self.stats.wait_for(|stats| self.pace.is_much(stats.bytes())) => {}
                }
                continue;
            }
            if let Some(batch) = self.queue.next(self.signal).await {
                return Some(batch);
            }
            if *self.stop.borrow() {
                return None;
            }
            if held {
                // The queue's file cannot be read at the moment, and has said so in the log.
                let stopped = self.stop.wait_for(|stop| *stop);
                let _ = tokio::time::timeout(READ_PAUSE, stopped).await;
                continue;
            }
            tokio::select! {
                // Looked at again from the beginning: there may be a pause by now.
                changed = self.stats.wait_for(|stats| stats.of(self.signal).batches > 0) => {
                    changed.ok()?;
                    self.is_rested = true;
                }
                stopped = self.stop.wait_for(|stop| *stop) => { stopped.ok()?; }
            }
        }
    }

    async fn acknowledge(&mut self, batch: &Batch, outcome: &Outcome) {
        let Outcome::Accepted { rejected, message } = outcome else { return };
        let rejected = (*rejected).min(u64::from(batch.items));
        self.queue.acknowledge(batch.id, rejected).await;
        self.sent.remember(batch);
        self.failures = 0;
        let signal = self.signal;
        if rejected > 0 || !message.is_empty() {
            tracing::warn!(%signal, rejected, message, "the collector answered with a partial success");
        }
        self.publish.send_modify(|delivery| {
            if delivery.state != LaneState::Working {
                tracing::info!(%signal, "delivering again");
            }
            delivery.state = LaneState::Working;
            delivery.acknowledged_unix_ms = Some(now_unix_ms());
            delivery.acknowledged_items += u64::from(batch.items) - rejected;
            delivery.rejected_items += rejected;
            let remark = (rejected > 0 || !message.is_empty()).then(|| sentence(outcome, signal, &self.address()));
            let detour = self
                .detour
                .as_ref()
                .map(|detour| format!("{} Meanwhile {} takes {signal}.", detour.sentence, self.address()));
            delivery.problem =
                remark.or(detour).map(|sentence| Problem { at_unix_ms: now_unix_ms(), sentence, again_unix_ms: None });
        });
    }

    fn problem(&self, outcome: &Outcome, state: LaneState, wait: Option<Duration>) {
        let signal = self.signal;
        let sentence = sentence(outcome, signal, &self.address());
        self.publish.send_modify(|delivery| {
            let known = delivery.problem.as_ref().is_some_and(|problem| problem.sentence == sentence);
            if !known {
                tracing::warn!(%signal, "{sentence}");
            }
            let at_unix_ms = now_unix_ms();
            let again_unix_ms = wait.map(|wait| at_unix_ms + i64::try_from(wait.as_millis()).unwrap_or_default());
            delivery.state = state;
            delivery.problem = Some(Problem { at_unix_ms, sentence, again_unix_ms });
        });
    }
}

/// Sends an empty request of every signal: what the collector says to each.
pub async fn probe(clients: &Clients) -> Vec<Probe> {
    let mut probes = Vec::new();
    for signal in Signal::ALL {
        let client = clients.of(signal);
        let begun = Instant::now();
        let payload = bytes::Bytes::new();
        let id = super::queue::BatchId::default();
        let batch = Batch { id, signal, compression: Compression::None, items: 0, split: false, payload };
        let outcome = client.send(&batch).await;
        let ok = matches!(outcome, Outcome::Accepted { rejected: 0, .. });
        let sentence = match &outcome {
            Outcome::Accepted { message, .. } if message.is_empty() => format!("{} takes {signal}.", client.address()),
            other => sentence(other, signal, &client.address()),
        };
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let clock_skew_seconds = client.clock_skew();
        probes.push(Probe { signal, ok, sentence, milliseconds, clock_skew_seconds });
    }
    probes
}

/// What the collector said to an empty request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Of which signal.
    pub signal: Signal,
    /// Whether it took it.
    pub ok: bool,
    /// The same in words, with what to do.
    pub sentence: String,
    /// How long it took.
    pub milliseconds: u64,
    /// By how much the collector's clock is ahead of this machine's; none if it does not tell the time.
    #[serde(default)]
    pub clock_skew_seconds: Option<i64>,
}

/// What an outcome says to people: the one table from answers to sentences.
fn sentence(outcome: &Outcome, signal: Signal, address: &str) -> String {
    let says = |message: &str| if message.is_empty() { String::new() } else { format!(" It says: {message}") };
    match outcome {
        Outcome::Accepted { rejected: 0, message } => {
            format!("The collector at {address} took all {signal}, with a remark.{}", says(message))
        }
        Outcome::Accepted { rejected, message } => {
            format!(
                "The collector at {address} refused {rejected} of the {signal} it was sent; they are not sent again.{}",
                says(message)
            )
        }
        Outcome::Http { status: 401 | 407, message, .. }
        | Outcome::Grpc { code: tonic::Code::Unauthenticated, message, .. } => {
            format!("{address} wants credentials for {signal}. Check `collector.headers`.{}", says(message))
        }
        Outcome::Http { status: 403, message, .. }
        | Outcome::Grpc { code: tonic::Code::PermissionDenied, message, .. } => {
            format!(
                "{address} does not allow us to send {signal}. Check `collector.headers` and the rights behind them.{}",
                says(message)
            )
        }
        Outcome::Http { status: 404 | 405, .. } | Outcome::Grpc { code: tonic::Code::Unimplemented, .. } => {
            format!(
                "{address} takes no {signal}: its address has no such service. Check `collector.endpoint` and the collector's pipelines."
            )
        }
        Outcome::Http { status: status @ 300..=399, .. } => {
            format!(
                "{address} points to another address (HTTP {status}). Write the collector's own address into `collector.endpoint`."
            )
        }
        Outcome::Http { status: 413, .. } => {
            format!("{address} calls a request with {signal} too large; it is halved.")
        }
        Outcome::Http { status: status @ (429 | 502 | 503 | 504), message, .. } => {
            format!(
                "{address} takes no {signal} at the moment (HTTP {status}); they are kept and sent later.{}",
                says(message)
            )
        }
        Outcome::Http { status, message, .. } => {
            format!(
                "{address} refused {signal} for good (HTTP {status}); the request was dropped and counted.{}",
                says(message)
            )
        }
        Outcome::Grpc { code, message, .. } => match decide(outcome) {
            Decision::Split => format!("{address} calls a request with {signal} too large; it is halved."),
            Decision::Retry { .. } => {
                format!(
                    "{address} takes no {signal} at the moment (gRPC {code:?}); they are kept and sent later.{}",
                    says(message)
                )
            }
            Decision::Done | Decision::Hold | Decision::Drop => {
                format!(
                    "{address} refused {signal} for good (gRPC {code:?}); the request was dropped and counted.{}",
                    says(message)
                )
            }
        },
        Outcome::None(failure) => failure.to_string(),
        Outcome::Damaged(why) => {
            format!("A queued request with {signal} cannot be read any more ({why}); it was dropped and counted.")
        }
    }
}
