//! When a lane begins to send what came after nothing had waited: at once, unless the fleet or the machine is spared by waiting.
//!
//! Metrics are made at the same moment by all agents that were started at the same moment, as by a software deployment; each
//! sends them a time later that is its own. On battery, or on a link that is metered, all lanes send at the same moments, a
//! long time apart, so that the radio rests in between.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Settings;
use crate::otlp::Signal;

/// Longest time by which metrics are sent later: a fleet's requests are spread over half a minute, and nobody waits for them.
const MOST_SPREAD: Duration = Duration::from_secs(30);

/// Why the machine is spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saving {
    /// It runs on battery.
    Battery,
    /// Its link to the network is metered.
    Metered,
}

impl Saving {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Battery => "on battery",
            Self::Metered => "on a metered link",
        }
    }
}

/// When the lanes of an agent send. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pace {
    saving: watch::Receiver<Option<Saving>>,
    interval: Duration,
    spread: Duration,
    /// The moments of sending are so many intervals after this.
    origin: Instant,
    /// With more than this nobody waits.
    most_bytes: u64,
}

impl Pace {
    /// That of the machine with this name or number.
    #[must_use]
    pub fn new(settings: &Settings, machine: &str, saving: watch::Receiver<Option<Saving>>) -> Self {
        let mut hasher = DefaultHasher::new();
        machine.hash(&mut hasher);
        let share = hasher.finish() as f64 / u64::MAX as f64;
        let interval = settings.collector.saving_interval.get();
        let spread = (settings.host.export_interval.get() / 2).min(MOST_SPREAD).mul_f64(share);
        let origin = Instant::now() + interval.mul_f64(share);
        Self { saving, interval, spread, origin, most_bytes: settings.queue.max_bytes.get() / 2 }
    }

    /// How long what came at `now` waits.
    fn wait(&self, signal: Signal, now: Instant) -> Duration {
        if self.saving.borrow().is_none() {
            return if signal == Signal::Metrics { self.spread } else { Duration::ZERO };
        }
        let Some(elapsed) = now.checked_duration_since(self.origin) else { return self.origin.duration_since(now) };
        let into = elapsed.as_nanos() % self.interval.as_nanos().max(1);
        self.interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or_default()))
    }

    /// Completes when what waits of a signal is to be sent: then, or when the machine is not spared any more.
    pub(super) async fn gather(&mut self, signal: Signal) {
        self.saving.mark_unchanged();
        let wait = self.wait(signal, Instant::now());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = self.saving.changed() => {}
        }
    }

    /// Whether so much waits that it is sent at once.
    pub(super) const fn is_much(&self, bytes: u64) -> bool {
        bytes > self.most_bytes
    }
}

#[cfg(test)]
mod tests;
