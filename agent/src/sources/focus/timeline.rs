//! Divides the time of a session into intervals of one state each. Pure computation: the time is
//! part of each observation.
//!
//! **Invariants:** from the first observation on, every moment is in exactly one interval or still
//! pending. The lengths therefore add up to the elapsed time, also across sleep and clock changes.
//! Intervals are returned in order and never revised.
//!
//! **Idle time is known only afterwards.** A user who stops typing may be thinking or may have
//! left. If that time were reported immediately, it would have to be corrected later, but exported
//! counters cannot be reduced. Time after the last input is therefore pending, together with the
//! apps in the foreground. The next input proves that the user was there, and the pending time up
//! to it becomes active. If there is none for `idle_after`, all pending time becomes idle, back to
//! the last input.
//!
//! **Resync after sleep.** The system may not report that the machine slept, and the wall clock may
//! be set during the sleep. Each observation therefore compares two clocks, one that counts sleep
//! and one that does not ([`ClockReading`]); the difference since the previous observation is the
//! time slept. The time awake is counted first, and pending time is decided, because input after
//! the sleep says nothing about the time before it. Then the sleep becomes one suspended interval.
//! Input from before the sleep no longer counts: otherwise a user who resumes the machine would be
//! idle at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::ClockReading;
use crate::session::SessionState;

/// Name of an app.
pub(super) type AppName = Arc<str>;

/// Minimum difference of the two clocks that counts as sleep. A smaller one can come from their
/// resolution.
const MIN_SLEEP: Duration = Duration::from_secs(2);

/// The state of a session at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observation {
    /// The user may be working.
    Present {
        /// The app in the foreground.
        app: AppName,
        /// Time since the last input.
        idle: Duration,
    },
    /// The user cannot be working, or the state is unknown.
    Absent(SessionState),
}

/// A period of one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interval {
    /// The state.
    pub(super) state: SessionState,
    /// The app in the foreground, while active.
    pub(super) app: Option<AppName>,
    /// Start, on the current wall clock.
    pub(super) from: Timestamp,
    /// Duration.
    pub(super) length: Duration,
}

/// Turns observations into intervals.
#[derive(Debug)]
pub(super) struct Timeline {
    idle_after: Duration,
    last: ClockReading,
    current: Current,
    /// Since when the user may have been working. Input before that does not count.
    present_since: Duration,
    /// End of the last returned interval.
    reported_until: Duration,
    /// Apps in the foreground since then, while it is undecided whether the user is there.
    pending: VecDeque<(AppName, Duration)>,
}

#[derive(Debug, Clone)]
enum Current {
    Present(AppName),
    Idle(AppName),
    Absent(SessionState),
}

impl Timeline {
    /// Starts now, in the unknown state.
    pub(super) fn new(idle_after: Duration, at: ClockReading) -> Self {
        Self {
            idle_after,
            last: at,
            current: Current::Absent(SessionState::Unknown),
            present_since: at.elapsed,
            reported_until: at.elapsed,
            pending: VecDeque::new(),
        }
    }

    /// Returns whether the user has been idle for at least `idle_after`, or the display is off.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.current, Current::Idle(_) | Current::Absent(SessionState::Idle))
    }

    /// Returns the current state and the app in the foreground.
    pub(super) fn current(&self) -> (SessionState, Option<AppName>) {
        match &self.current {
            Current::Present(app) => (SessionState::Active, Some(Arc::clone(app))),
            Current::Idle(app) => (SessionState::Idle, Some(Arc::clone(app))),
            Current::Absent(state) => (*state, None),
        }
    }

    /// Adds an observation and returns the intervals that it decides. The previous observation is
    /// taken to hold until `at`, the new one from then on.
    pub(super) fn observe(&mut self, at: ClockReading, observation: Observation) -> Vec<Interval> {
        let mut out = Vec::new();
        let step = at.elapsed.saturating_sub(self.last.elapsed);
        let slept = step.saturating_sub(at.awake.saturating_sub(self.last.awake));
        let slept = if slept < MIN_SLEEP { Duration::ZERO } else { slept };
        let awake = step.saturating_sub(slept);
        let was_idle = self.is_idle();
        self.account_elapsed(at, awake, slept, &observation, &mut out);
        match observation {
            Observation::Absent(state) => {
                self.resolve_pending(&at, &mut out);
                self.current = Current::Absent(state);
            }
            Observation::Present { app, idle } => {
                if matches!(self.current, Current::Absent(_)) || !slept.is_zero() {
                    self.present_since = at.elapsed;
                }
                let input = at.elapsed.saturating_sub(idle).max(self.present_since);
                self.confirm_active_until(&at, input, &mut out);
                let still_idle =
                    was_idle && slept.is_zero() && self.pending.is_empty() && self.present_since < at.elapsed;
                let is_idle = still_idle || self.pending_length() >= self.idle_after;
                if is_idle {
                    self.resolve_pending(&at, &mut out);
                }
                self.current = if is_idle { Current::Idle(app) } else { Current::Present(app) };
            }
        }
        self.last = at;
        out
    }

    /// Ends the timeline and returns the pending intervals.
    pub(super) fn finish(&mut self, at: ClockReading) -> Vec<Interval> {
        self.observe(at, Observation::Absent(SessionState::Unknown))
    }

    /// Accounts for the time since the previous observation: first `awake`, then `slept`.
    fn account_elapsed(
        &mut self,
        at: ClockReading,
        awake: Duration,
        slept: Duration,
        observation: &Observation,
        out: &mut Vec<Interval>,
    ) {
        match self.current.clone() {
            Current::Absent(state) => self.push_interval(&at, state, None, awake, out),
            Current::Present(app) => self.pending.push_back((app, awake)),
            Current::Idle(app) => {
                let input = match observation {
                    Observation::Present { idle, .. } if slept.is_zero() && *idle < self.idle_after => {
                        Some(at.elapsed.saturating_sub(*idle).max(self.last.elapsed))
                    }
                    Observation::Present { .. } | Observation::Absent(_) => None,
                };
                let back = input.map_or(Duration::ZERO, |input| at.elapsed.saturating_sub(input));
                self.push_interval(&at, SessionState::Idle, None, awake.saturating_sub(back), out);
                if let Some(input) = input {
                    self.present_since = input;
                    self.pending.push_back((Arc::clone(&app), back));
                    self.current = Current::Present(app);
                }
            }
        }
        if !slept.is_zero() {
            self.resolve_pending(&at, out);
            self.push_interval(&at, SessionState::Suspended, None, slept, out);
        }
    }

    fn pending_length(&self) -> Duration {
        self.pending.iter().map(|(_, length)| *length).sum()
    }

    /// Confirms that there was input at `input`: pending time before it was active.
    fn confirm_active_until(&mut self, at: &ClockReading, input: Duration, out: &mut Vec<Interval>) {
        while let Some((app, length)) = self.pending.pop_front() {
            let confirmed = input.saturating_sub(self.reported_until).min(length);
            self.push_interval(at, SessionState::Active, Some(Arc::clone(&app)), confirmed, out);
            let rest = length.saturating_sub(confirmed);
            if !rest.is_zero() {
                self.pending.push_front((app, rest));
                return;
            }
        }
    }

    /// Decides the pending time, because nothing more will be known about it.
    fn resolve_pending(&mut self, at: &ClockReading, out: &mut Vec<Interval>) {
        let was_idle = self.pending_length() >= self.idle_after;
        for (app, length) in std::mem::take(&mut self.pending) {
            let (state, app) = if was_idle { (SessionState::Idle, None) } else { (SessionState::Active, Some(app)) };
            self.push_interval(at, state, app, length, out);
        }
    }

    fn push_interval(
        &mut self,
        at: &ClockReading,
        state: SessionState,
        app: Option<AppName>,
        length: Duration,
        out: &mut Vec<Interval>,
    ) {
        if length.is_zero() {
            return;
        }
        let from = at.wall_at(self.reported_until);
        self.reported_until += length;
        match out.last_mut() {
            Some(last) if (last.state, &last.app) == (state, &app) => last.length += length,
            _ => out.push(Interval { state, app, from, length }),
        }
    }
}

#[cfg(test)]
mod tests;
