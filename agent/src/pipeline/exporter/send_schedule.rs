//! Send scheduling: spreads metric exports across a fleet, and batches exports on battery or a
//! metered network.
//!
//! The schedule applies to the first data that is queued after a lane was idle; further data goes
//! out with it.
//!
//! - **Fleet spread.** Agents that a software deployment starts at the same moment also export
//!   their metrics at the same moment. Each agent therefore delays its metrics by a time of its
//!   own.
//! - **Power saving.** On battery or on a metered network, all lanes send at the same moments, a
//!   long interval apart, so that the radio can sleep in between.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Settings;
use crate::otlp::Signal;

/// Maximum delay of metrics: spreads the requests of a fleet over half a minute, a delay that no
/// reader of metrics notices.
const MAX_SPREAD: Duration = Duration::from_secs(30);

/// The reason for saving power or network traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerSaving {
    /// The machine runs on battery.
    Battery,
    /// The network connection is metered.
    Metered,
}

impl PowerSaving {
    /// Returns the reason in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Battery => "on battery",
            Self::Metered => "on a metered network",
        }
    }
}

/// Decides when the lanes of an agent start to send. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SendSchedule {
    power_saving: watch::Receiver<Option<PowerSaving>>,
    /// Time between two send slots while saving power.
    interval: Duration,
    /// Delay of metrics while not saving power.
    spread: Duration,
    /// The first send slot; the others follow in multiples of `interval`.
    origin: Instant,
    /// Queue size above which lanes send without delay.
    max_delayed_bytes: u64,
}

impl SendSchedule {
    /// Creates the schedule of a machine. `machine` identifies it within the fleet: the same value
    /// always gives the same delay.
    #[must_use]
    pub fn new(settings: &Settings, machine: &str, power_saving: watch::Receiver<Option<PowerSaving>>) -> Self {
        let mut hasher = DefaultHasher::new();
        machine.hash(&mut hasher);
        let share = hasher.finish() as f64 / u64::MAX as f64;
        let interval = settings.collector.saving_interval.get();
        let spread = (settings.host.export_interval.get() / 2).min(MAX_SPREAD).mul_f64(share);
        let origin = Instant::now() + interval.mul_f64(share);
        Self { power_saving, interval, spread, origin, max_delayed_bytes: settings.queue.max_bytes.get() / 2 }
    }

    /// Returns how long data that was queued at `now` waits.
    fn delay(&self, signal: Signal, now: Instant) -> Duration {
        if self.power_saving.borrow().is_none() {
            return if signal == Signal::Metrics { self.spread } else { Duration::ZERO };
        }
        let Some(elapsed) = now.checked_duration_since(self.origin) else { return self.origin.duration_since(now) };
        let into_slot = elapsed.as_nanos() % self.interval.as_nanos().max(1);
        self.interval.saturating_sub(Duration::from_nanos(u64::try_from(into_slot).unwrap_or_default()))
    }

    /// Waits for the send slot of a signal. Completes earlier when power saving starts or ends.
    pub(super) async fn wait_for_slot(&mut self, signal: Signal) {
        self.power_saving.mark_unchanged();
        let delay = self.delay(signal, Instant::now());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            Ok(()) = self.power_saving.changed() => {}
        }
    }

    /// Returns whether the queue holds so much data that it is sent without delay.
    pub(super) const fn exceeds_limit(&self, queued_bytes: u64) -> bool {
        queued_bytes > self.max_delayed_bytes
    }
}

#[cfg(test)]
mod tests;
