//! The queue's own clock, which decides how old a batch is: the system clock without its jumps.
//!
//! While the agent runs, the queue clock continues steadily when the system clock is set forwards
//! or back. At start it is never earlier than the newest batch. Therefore no batch has a time in
//! the future, setting the clock makes no batch expire at once, and no batch is kept forever. Time
//! during which the machine sleeps counts only where the system's monotonic clock includes it: it
//! does on Windows and does not on Linux.

#[cfg(test)]
mod tests;

use std::time::Instant;

/// Minimum difference between the system clock and the monotonic clock that is treated as a clock
/// being set. Smaller differences are ordinary clock adjustment.
const MIN_CLOCK_STEP_MS: i64 = 60_000;

#[derive(Debug)]
pub(super) struct QueueClock {
    /// Queue time minus system time.
    offset_ms: i64,
    last_reading: (Instant, i64),
}

impl QueueClock {
    pub(super) fn new(now: Instant, unix_ms: i64) -> Self {
        Self { offset_ms: 0, last_reading: (now, unix_ms) }
    }

    /// Moves the clock forward, if necessary, so that it is not earlier than the newest batch.
    pub(super) fn advance_to(&mut self, newest_unix_ms: Option<i64>) {
        let Some(newest) = newest_unix_ms else { return };
        self.offset_ms = self.offset_ms.max(newest.saturating_sub(self.last_reading.1));
    }

    /// Returns the queue time (Unix milliseconds) for these readings of the system's two clocks.
    pub(super) fn time(&mut self, now: Instant, unix_ms: i64) -> i64 {
        let (last, last_unix_ms) = self.last_reading;
        let elapsed = i64::try_from(now.saturating_duration_since(last).as_millis()).unwrap_or(i64::MAX);
        let step = unix_ms.saturating_sub(last_unix_ms).saturating_sub(elapsed);
        if step.saturating_abs() > MIN_CLOCK_STEP_MS {
            self.offset_ms = self.offset_ms.saturating_sub(step);
            tracing::info!(seconds = step / 1000, "the system clock was set");
        }
        self.last_reading = (now, unix_ms);
        unix_ms.saturating_add(self.offset_ms)
    }

    /// Converts a queue time to wall-clock time, using the current offset.
    pub(super) fn to_wall_clock(&self, unix_ms: i64) -> i64 {
        unix_ms.saturating_sub(self.offset_ms)
    }
}
