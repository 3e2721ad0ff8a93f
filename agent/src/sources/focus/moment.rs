//! The clocks of the focus source.
//!
//! Lengths come from clocks that nobody can set. One of them goes on while the machine sleeps, the other does not: the
//! difference is how long it slept, without a word from the system.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A point in time, on three clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// What the wall clock shows. It can jump.
    pub(super) wall: Timestamp,
    /// Time since the system started, sleep included.
    pub(super) elapsed: Duration,
    /// Time since the system started, without sleep.
    pub(super) awake: Duration,
}

impl Moment {
    /// Reads the clocks.
    pub(super) fn now() -> Self {
        let (elapsed, awake) = platform::clocks();
        Self { wall: Timestamp::now(), elapsed, awake }
    }

    /// What the wall clock would have shown then, had it always gone as it does now.
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

    /// `clock_gettime(2)`.
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

    /// Units of the unbiased interrupt time in a second.
    const PER_MILLISECOND: u64 = 10_000;

    pub(super) fn clocks() -> (Duration, Duration) {
        let mut awake = 0;
        // SAFETY: `awake` lives through the call; the other call takes nothing.
        let (elapsed, known) = unsafe { (GetTickCount64(), QueryUnbiasedInterruptTime(&raw mut awake).as_bool()) };
        let elapsed = Duration::from_millis(elapsed);
        (elapsed, if known { Duration::from_millis(awake / PER_MILLISECOND) } else { elapsed })
    }
}
