//! A lane delivers the batches of one signal, one after the other, oldest first.
//!
//! For each batch the lane waits until it may send, sends, asks [`decide`] what the outcome means,
//! and carries that out on the queue. A lane removes a batch only after the collector acknowledged
//! it, or when [`decide`] says to drop it. After a crash a batch may therefore be delivered a
//! second time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::client::Client;
use super::decision::{self, Decision, Outcome, decide};
use super::export_duration::ExportDuration;
use super::recent_batches::RecentBatches;
use super::send_schedule::SendSchedule;
use super::sentence::sentence;
use super::{Delivery, LaneState, Problem};
use crate::otlp::Signal;
use crate::pause::Pause;
use crate::pipeline::queue::{Batch, DropReason, Queue, QueueStats};
use crate::time::now_unix_ms;

/// Interval between attempts to read a batch that the queue holds but could not read.
const READ_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How long batches go to the fallback before the primary collector is tried again.
const FAILOVER_DURATION: Duration = Duration::from_mins(1);

/// A period in which batches go to the fallback without trying the primary collector.
pub(super) struct Failover {
    until: Instant,
    /// What is wrong with the primary collector.
    sentence: String,
}

pub(super) struct Lane {
    pub(super) signal: Signal,
    pub(super) queue: Queue,
    pub(super) client: Client,
    pub(super) fallback: Option<Client>,
    /// Set while the fallback is in use.
    pub(super) failover: Option<Failover>,
    pub(super) stats: watch::Receiver<QueueStats>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) pause: Pause,
    pub(super) schedule: SendSchedule,
    /// Whether the lane had nothing to send before the data that is queued now. Only then does the
    /// schedule apply.
    pub(super) was_idle: bool,
    pub(super) delivery: watch::Sender<Delivery>,
    pub(super) recent_batches: RecentBatches,
    /// Number of failures in a row.
    pub(super) failures: u32,
    pub(super) duration: ExportDuration,
}

impl Lane {
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            self.duration.start(batch.id);
            let outcome = self.deliver(&batch).await;
            let decision = decide(&outcome);
            if !matches!(decision, Decision::Retry { .. } | Decision::Hold) {
                self.duration.finish(&outcome);
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
                Decision::Hold => Some((LaneState::Held, decision::hold_delay(fastrand::f64()))),
                Decision::Split => {
                    self.publish_problem(&outcome, LaneState::Working, None);
                    self.queue.split(batch).await;
                    None
                }
                Decision::Drop => {
                    self.publish_problem(&outcome, LaneState::Working, None);
                    let unreadable = matches!(outcome, Outcome::Unreadable(_));
                    let reason = if unreadable { DropReason::Damaged } else { DropReason::Refused };
                    self.queue.drop_batch(batch.id, reason).await;
                    None
                }
            };
            if let Some((state, wait)) = wait {
                self.publish_problem(&outcome, state, Some(wait));
                let stopped = self.stop.wait_for(|stop| *stop);
                if tokio::time::timeout_at(Instant::now() + wait, stopped).await.is_ok() {
                    return;
                }
            }
        }
    }

    /// Sends a batch once: to the primary collector, or to the fallback if that does not accept it.
    ///
    /// After the primary collector failed, batches go to the fallback for [`FAILOVER_DURATION`]
    /// without trying the primary first: each attempt could take as long as `collector.timeout`.
    /// Only outcomes that say nothing about the data ([`Decision::Retry`], [`Decision::Hold`])
    /// cause a failover; a batch that was rejected as invalid is not offered to a second collector.
    async fn deliver(&mut self, batch: &Batch) -> Outcome {
        let Some(fallback) = self.fallback.clone() else { return self.client.send(batch).await };
        let mut primary = None;
        if self.failover.as_ref().is_none_or(|failover| failover.until <= Instant::now()) {
            let outcome = self.client.send(batch).await;
            if !matches!(decide(&outcome), Decision::Retry { .. } | Decision::Hold) {
                self.failover = None;
                return outcome;
            }
            let sentence = sentence(&outcome, self.signal, &self.client.address());
            self.failover = Some(Failover { until: Instant::now() + FAILOVER_DURATION, sentence });
            primary = Some(outcome);
        }
        let secondary = fallback.send(batch).await;
        match decide(&secondary) {
            Decision::Retry { .. } | Decision::Hold => {
                // Neither accepts data: the next attempt tries both again.
                self.failover = None;
                primary.unwrap_or(secondary)
            }
            Decision::Done | Decision::Split | Decision::Drop => secondary,
        }
    }

    /// Returns the address of the collector that currently receives the batches.
    fn active_address(&self) -> String {
        let fallback = self.fallback.as_ref().filter(|_| self.failover.is_some());
        fallback.unwrap_or(&self.client).address()
    }

    /// Waits for the next batch that may be sent. Returns none when the agent stops and either the
    /// queue has no more batches of this signal or sending is paused.
    ///
    /// Data that is queued while the lane was idle first waits for its slot in the schedule. The
    /// wait ends early when the agent stops or when the whole queue grows too large, because data
    /// that is held back for longer could then be dropped. Batches that follow are sent without a
    /// delay, until the lane is idle again.
    async fn next_batch(&mut self) -> Option<Batch> {
        loop {
            tokio::select! {
                biased;
                () = self.pause.over() => {}
                _ = self.stop.wait_for(|stop| *stop) => return None,
            }
            // The statistics are marked as seen before the queue is read. An append between the
            // read and the wait below then still ends that wait.
            let has_queued = self.stats.borrow_and_update().of(self.signal).batches > 0;
            if has_queued && std::mem::take(&mut self.was_idle) {
                let mut schedule = self.schedule.clone();
                tokio::select! {
                    () = schedule.wait_for_slot(self.signal) => {}
                    _ = self.stop.wait_for(|stop| *stop) => {}
                    _ = self.stats.wait_for(|stats| self.schedule.exceeds_limit(stats.bytes())) => {}
                }
                continue;
            }
            if let Some(batch) = self.queue.next(self.signal).await {
                return Some(batch);
            }
            if *self.stop.borrow() {
                return None;
            }
            if has_queued {
                // The queue file is not readable at the moment; the queue has logged the reason.
                let stopped = self.stop.wait_for(|stop| *stop);
                let _ = tokio::time::timeout(READ_RETRY_INTERVAL, stopped).await;
                continue;
            }
            tokio::select! {
                // The loop starts again rather than reading at once: a pause may have started.
                changed = self.stats.wait_for(|stats| stats.of(self.signal).batches > 0) => {
                    changed.ok()?;
                    self.was_idle = true;
                }
                stopped = self.stop.wait_for(|stop| *stop) => { stopped.ok()?; }
            }
        }
    }

    /// Removes an accepted batch from the queue, and publishes what the collector reported about
    /// it.
    async fn acknowledge(&mut self, batch: &Batch, outcome: &Outcome) {
        let Outcome::Accepted { rejected, message } = outcome else { return };
        let rejected = (*rejected).min(u64::from(batch.items));
        self.queue.acknowledge(batch.id, rejected).await;
        self.recent_batches.record(batch);
        self.failures = 0;
        let signal = self.signal;
        let is_partial = rejected > 0 || !message.is_empty();
        if is_partial {
            tracing::warn!(%signal, rejected, message, "collector reported a partial success");
        }
        self.delivery.send_modify(|delivery| {
            if delivery.state != LaneState::Working {
                tracing::info!(%signal, "delivery resumed");
            }
            let now = now_unix_ms();
            delivery.state = LaneState::Working;
            delivery.acknowledged_unix_ms = Some(now);
            delivery.acknowledged_items += u64::from(batch.items) - rejected;
            delivery.rejected_items += rejected;
            let address = self.active_address();
            let partial = is_partial.then(|| sentence(outcome, signal, &address));
            let failover = self
                .failover
                .as_ref()
                .map(|failover| format!("{} Meanwhile, {signal} are sent to {address}.", failover.sentence));
            delivery.problem =
                partial.or(failover).map(|sentence| Problem { at_unix_ms: now, sentence, again_unix_ms: None });
        });
    }

    /// Publishes why a batch was not accepted. Logs it unless the same problem is known already.
    fn publish_problem(&self, outcome: &Outcome, state: LaneState, wait: Option<Duration>) {
        let signal = self.signal;
        let sentence = sentence(outcome, signal, &self.active_address());
        self.delivery.send_modify(|delivery| {
            let is_known = delivery.problem.as_ref().is_some_and(|problem| problem.sentence == sentence);
            if !is_known {
                tracing::warn!(%signal, "{sentence}");
            }
            let at_unix_ms = now_unix_ms();
            let again_unix_ms = wait.map(|wait| at_unix_ms + i64::try_from(wait.as_millis()).unwrap_or_default());
            delivery.state = state;
            delivery.problem = Some(Problem { at_unix_ms, sentence, again_unix_ms });
        });
    }
}
