//! The clocks of the focus source.
//!
//! Durations come from clocks that nobody can set. One of them continues while the machine sleeps,
//! the other one stops. The difference is the time slept, and does not depend on a notification
//! from the system.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The readings of three clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockReading {
    /// Wall clock. It can jump.
    pub(super) wall: Timestamp,
    /// Time since the system started, including sleep.
    pub(super) elapsed: Duration,
    /// Time since the system started, excluding sleep.
    pub(super) awake: Duration,
}

impl ClockReading {
    /// Reads the clocks.
    pub(super) fn now() -> Self {
        let (elapsed, awake) = platform::clocks();
        Self { wall: Timestamp::now(), elapsed, awake }
    }

    /// Converts an `elapsed` reading to wall-clock time, using the current offset between the two
    /// clocks.
    pub(super) fn wall_at(&self, elapsed: Duration) -> Timestamp {
        let signed = |of: Duration| SignedDuration::try_from(of).unwrap_or(SignedDuration::MAX);
        let back = signed(self.elapsed) - signed(elapsed);
        self.wall.checked_sub(back).unwrap_or(self.wall)
    }
}

#[cfg(unix)]
mod platform {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    /// Reads `clock_gettime(2)`; returns the time including sleep and the time excluding sleep.
    pub(super) fn clocks() -> (Duration, Duration) {
        let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        (read(ClockId::Boottime), read(ClockId::Monotonic))
    }
}

#[cfg(windows)]
#[allow(unsafe_code)]
mod platform {
    use std::time::Duration;

    use windows::Win32::System::SystemInformation::GetTickCount64;
    use windows::Win32::System::WindowsProgramming::QueryUnbiasedInterruptTime;

    /// Units of the unbiased interrupt time (100 ns) in a millisecond.
    const TICKS_PER_MILLISECOND: u64 = 10_000;

    pub(super) fn clocks() -> (Duration, Duration) {
        let mut awake = 0;
        // SAFETY: `awake` lives through the call; the other call has no parameters.
        let (elapsed, known) = unsafe { (GetTickCount64(), QueryUnbiasedInterruptTime(&raw mut awake).as_bool()) };
        let elapsed = Duration::from_millis(elapsed);
        (elapsed, if known { Duration::from_millis(awake / TICKS_PER_MILLISECOND) } else { elapsed })
    }
}
