//! What the user decides: carried out, written down, told to the collector.

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::{Shared, locked};
use crate::consent::{Consent, LogKind};
use crate::control::Reply;
use crate::signals::events;
use crate::sources::logs::LogSource;

/// What to say to a user who wants to decide what is not theirs to decide.
#[must_use]
pub fn set_by_organisation(kind: LogKind) -> String {
    format!("Your organisation has set whether logs of {kind} are shared.")
}

impl Shared {
    /// Carries out a decision: on disk first, then the reader, then, of what is withdrawn, the queue. Returns how many
    /// queued records were deleted. A withdrawal that cannot be written down is carried out all the same.
    pub(super) async fn share_logs(&self, kinds: &[LogKind], shared: bool) -> Result<u64, String> {
        if let Some(kind) = kinds.iter().find(|kind| self.policy.shares(**kind).is_some()) {
            return Err(set_by_organisation(*kind));
        }
        let _turn = self.consent_turn.lock().await;
        let mut consent = self.consent();
        consent.decide(kinds, shared, jiff::Timestamp::now());
        let written = consent
            .store(&self.data.consent())
            .map_err(|error| format!("the decision could not be written down, and ends with the agent: {error}"));
        if shared {
            written.clone()?;
        }
        let control = self.logs().as_ref().map(LogSource::control);
        if let Some(control) = control {
            let consent = consent.clone();
            tokio::task::spawn_blocking(move || control.set_consent(consent))
                .await
                .map_err(|_| "the log reader could not be told".to_owned())?;
        }
        if let Some(receiver) = &*self.receiver.read().await {
            receiver.share_logs(consent.shares(LogKind::Applications)).await;
        }
        // Said only now: what is written after somebody has seen it is what was decided on.
        *locked(&self.consent) = consent;
        let mut deleted = 0;
        if !shared {
            for kind in kinds {
                deleted += self
                    .queue
                    .withdraw(*kind)
                    .await
                    .map_err(|error| format!("queued logs could not be deleted: {error}"))?;
            }
        }
        tracing::info!(?kinds, shared, "the user decided on sharing logs");
        self.announce_decisions().await;
        written?;
        Ok(deleted)
    }

    pub(super) async fn welcomed(&self) -> Reply {
        let _turn = self.consent_turn.lock().await;
        let consent = Consent { asked: true, ..self.consent() };
        if let Err(error) = consent.store(&self.data.consent()) {
            tracing::warn!(%error, "the consent record could not be written");
        }
        *locked(&self.consent) = consent;
        Reply::Done
    }

    pub(super) async fn announce(&self) {
        let _turn = self.consent_turn.lock().await;
        self.announce_decisions().await;
    }

    /// Puts the event of every decision into the queue that is not surely there yet: rather twice than never.
    pub(super) async fn announce_decisions(&self) {
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
            match self.events.emit(events::CONSENT_CHANGED, decision.at, body, attributes).await {
                // What is held in memory because of a fault can still be lost: the next start says it again.
                Ok(()) if !self.stats.borrow().problems.is_empty() => {}
                Ok(()) => changed |= consent.announced(kind),
                Err(error) => tracing::warn!(%error, %kind, "the event of a decision waits for the next start"),
            }
        }
        if !changed {
            return;
        }
        if let Err(error) = consent.store(&self.data.consent()) {
            tracing::warn!(%error, "the consent record could not be written");
        }
        *locked(&self.consent) = consent;
    }
}
