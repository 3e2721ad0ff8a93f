//! Carries out decisions on log sharing: in the consent record, the sources, the queue and the
//! exported events.
//!
//! The running agent and the command line use the same service. If no agent is running, the queue
//! file is purged directly.
//!
//! **Invariant:** decisions are carried out one at a time, and the new consent becomes visible only
//! after every source follows it. Code that reads the consent can therefore rely on it for all data
//! on its way to the queue.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::config::PolicySettings;
use crate::consent::{Consent, LogKind};
use crate::paths::DataDir;
use crate::pipeline::events::Events;
use crate::pipeline::queue::{self, AppendError, Queue, QueueStats, StoreError};
use crate::signals::events;
use crate::sources::Sources;

/// Why a decision on log sharing is not carried out, or only in part.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The organisation's policy decides.
    #[error("Your organisation decides whether {} are shared.", logs_of(*.0))]
    SetByOrganisation(LogKind),
    /// The consent record cannot be written.
    #[error("failed to save the decision; it is in force until the agent ends: {0}")]
    NotSaved(#[source] io::Error),
    /// The running agent's queue cannot be purged.
    #[error("failed to delete queued log records: {0}")]
    NotPurged(#[from] AppendError),
    /// The queue file cannot be purged.
    #[error("failed to delete queued log records: {0}")]
    FileNotPurged(#[from] StoreError),
}

/// Returns the logs of a kind, as a sentence names them.
const fn logs_of(kind: LogKind) -> &'static str {
    match kind {
        LogKind::Platform => "platform logs",
        LogKind::Applications => "application logs",
    }
}

/// The one owner of the consent record.
#[derive(Debug)]
pub struct ConsentService {
    file: PathBuf,
    policy: PolicySettings,
    record: Mutex<Consent>,
    /// Held while a decision is carried out, so that two cannot overtake each other.
    turn: tokio::sync::Mutex<()>,
    reach: Reach,
}

/// What a decision has its effect on.
#[derive(Debug)]
enum Reach {
    /// The parts of the running agent.
    Agent { sources: Arc<Sources>, queue: Queue, stats: watch::Receiver<QueueStats>, events: Events },
    /// No agent runs: only files.
    Files { queue: PathBuf },
}

/// Loads the consent record and applies the organisation's policy to it.
pub(super) fn load(file: &Path, policy: PolicySettings) -> Consent {
    let mut consent = Consent::load(file);
    if consent.apply_policy(|kind| policy.shares(kind), jiff::Timestamp::now())
        && let Err(error) = consent.store(file)
    {
        tracing::warn!("failed to save the consent record after a policy change: {error:#}");
    }
    consent
}

impl ConsentService {
    /// Creates the service of a running agent, whose sources follow `consent` already.
    pub(super) fn of_agent(
        file: PathBuf,
        policy: PolicySettings,
        consent: Consent,
        sources: Arc<Sources>,
        queue: Queue,
        events: Events,
    ) -> Self {
        let reach = Reach::Agent { sources, stats: queue.watch(), queue, events };
        Self { file, policy, record: Mutex::new(consent), turn: tokio::sync::Mutex::default(), reach }
    }

    /// Creates the service for a data folder on which no agent runs; the caller holds the folder's
    /// lock.
    #[must_use]
    pub fn without_agent(data: &DataDir, policy: PolicySettings) -> Self {
        let file = data.consent();
        let record = Mutex::new(Consent::load(&file));
        let reach = Reach::Files { queue: data.queue() };
        Self { file, policy, record, turn: tokio::sync::Mutex::default(), reach }
    }

    /// Returns what is shared now.
    #[must_use]
    pub fn consent(&self) -> Consent {
        self.record.lock().clone()
    }

    /// Carries out the user's decision: on disk first, then in the sources, then, for what is no
    /// longer shared, in the queue. Returns how many queued records were deleted. A withdrawal
    /// takes effect even if it cannot be saved.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub async fn share_logs(&self, kinds: &[LogKind], shared: bool) -> Result<u64, ConsentError> {
        if let Some(kind) = kinds.iter().find(|kind| self.policy.shares(**kind).is_some()) {
            return Err(ConsentError::SetByOrganisation(*kind));
        }
        let _turn = self.turn.lock().await;
        let mut consent = self.consent();
        consent.decide(kinds, shared, jiff::Timestamp::now());
        let saved = consent.store(&self.file).map_err(ConsentError::NotSaved);
        if shared && saved.is_err() {
            return saved.map(|()| 0);
        }
        if let Reach::Agent { sources, .. } = &self.reach {
            sources.set_consent(&consent).await;
        }
        // Published only now, when every source follows it.
        *self.record.lock() = consent;
        let deleted = if shared { 0 } else { self.purge(kinds).await? };
        tracing::info!(?kinds, shared, "log sharing changed by the user");
        self.announce_decisions().await;
        saved?;
        Ok(deleted)
    }

    async fn purge(&self, kinds: &[LogKind]) -> Result<u64, ConsentError> {
        match &self.reach {
            Reach::Agent { queue, .. } => {
                let mut deleted = 0;
                for kind in kinds {
                    deleted += queue.purge(*kind).await?;
                }
                Ok(deleted)
            }
            Reach::Files { queue } => Ok(queue::purge(queue, kinds)?),
        }
    }

    /// Records that the user has answered or dismissed the first question.
    pub(super) async fn record_asked(&self) {
        let _turn = self.turn.lock().await;
        self.save(Consent { asked: true, ..self.consent() });
    }

    /// Emits the event of every decision that was made while no agent ran.
    pub(super) async fn announce(&self) {
        let _turn = self.turn.lock().await;
        self.announce_decisions().await;
    }

    /// Emits the event of every decision that is not known to be in the queue: repeated rather than
    /// lost.
    async fn announce_decisions(&self) {
        let Reach::Agent { events, stats, .. } = &self.reach else { return };
        let mut consent = self.consent();
        let mut changed = false;
        for kind in LogKind::ALL {
            let Some(decision) = consent.decision(kind).filter(|decision| !decision.announced).cloned() else {
                continue;
            };
            let attributes = vec![
                (events::CONSENT_KIND, Value::StringValue(kind.name().to_owned())),
                (events::CONSENT_SHARED, Value::BoolValue(decision.shared)),
                (events::CONSENT_VERSION, Value::IntValue(decision.version.into())),
                (events::CONSENT_BY, Value::StringValue(decision.by.name().to_owned())),
            ];
            let now = if decision.shared { "now shared" } else { "no longer shared" };
            let body = format!("Logs of {kind} are {now}.");
            match events.emit(events::CONSENT_CHANGED, decision.at, body, attributes).await {
                // The queue may hold the event only in memory during a fault, so the next start
                // repeats it.
                Ok(()) if !stats.borrow().problems.is_empty() => {}
                Ok(()) => changed |= consent.mark_announced(kind),
                Err(error) => {
                    tracing::warn!(%kind, "failed to emit the consent event; the next start repeats it: {error:#}");
                }
            }
        }
        if changed {
            self.save(consent);
        }
    }

    fn save(&self, consent: Consent) {
        if let Err(error) = consent.store(&self.file) {
            tracing::warn!("failed to save the consent record: {error:#}");
        }
        *self.record.lock() = consent;
    }
}
