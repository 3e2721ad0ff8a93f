//! The queue's own clock, by which batches grow old: that of the system, without its jumps.
//!
//! While the program runs it goes on steadily when the system's clock is set, forwards or back. At the start it never lies
//! before the newest batch. So no batch is ever from the future, a clock that is set makes none too old at once, and none
//! is kept for ever. Time that a machine sleeps counts where the system's monotonic clock counts it: on Windows it does,
//! on Linux it does not.

#[cfg(test)]
mod tests;

use std::time::Instant;

/// A difference between the system's two clocks that is a clock being set, and not its ordinary adjustment.
const STEP_MS: i64 = 60_000;

#[derive(Debug)]
pub(super) struct Clock {
    /// The queue's time less the system's.
    offset_ms: i64,
    last: (Instant, i64),
}

impl Clock {
    pub(super) fn new(now: Instant, unix_ms: i64) -> Self {
        Self { offset_ms: 0, last: (now, unix_ms) }
    }

    /// Does not lie before `newest_unix_ms`, the time of a batch, from now on.
    pub(super) fn not_before(&mut self, newest_unix_ms: Option<i64>) {
        let Some(newest) = newest_unix_ms else { return };
        self.offset_ms = self.offset_ms.max(newest.saturating_sub(self.last.1));
    }

    /// The queue's time (Unix milliseconds) when the system's clocks say this.
    pub(super) fn time(&mut self, now: Instant, unix_ms: i64) -> i64 {
        let (last, last_unix_ms) = self.last;
        let passed = i64::try_from(now.saturating_duration_since(last).as_millis()).unwrap_or(i64::MAX);
        let step = unix_ms.saturating_sub(last_unix_ms).saturating_sub(passed);
        if step.saturating_abs() > STEP_MS {
            self.offset_ms = self.offset_ms.saturating_sub(step);
            tracing::info!(seconds = step / 1000, "the system's clock was set");
        }
        self.last = (now, unix_ms);
        unix_ms.saturating_add(self.offset_ms)
    }

    /// The system's time at one of the queue's, as if its clock had always been set as now.
    pub(super) fn to_system(&self, unix_ms: i64) -> i64 {
        unix_ms.saturating_sub(self.offset_ms)
    }
}
