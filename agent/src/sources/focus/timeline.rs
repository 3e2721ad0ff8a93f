//! What every second of a session was: plain computation, the clock is in the observations.
//!
//! Invariants: from its first observation on, all time is in exactly one slice or still pending, so lengths add up to
//! the time that has passed, over sleep and clocks that are set; slices are handed out in order and never taken back.
//!
//! Whether somebody who has stopped typing is thinking or has left is known only later: time after the last input is
//! pending until there is another one (it was active), or until it has lasted for `idle_after` (all of it was idle).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::moment::Moment;
use crate::session::SessionState;

/// Name of an app.
pub(super) type AppName = Arc<str>;

/// The clocks' difference that is sleep: less than this can be their granularity.
const SHORTEST_SLEEP: Duration = Duration::from_secs(2);

/// What is seen of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Somebody may be at work.
    Here {
        /// The app in front.
        app: AppName,
        /// Time since the last input.
        idle: Duration,
    },
    /// Nobody can be, or nobody knows.
    Away(SessionState),
}

/// A stretch of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    /// What it was.
    pub(super) state: SessionState,
    /// The app in front, while active.
    pub(super) app: Option<AppName>,
    /// When it began, on the wall clock as it goes now.
    pub(super) from: Timestamp,
    /// How long it was.
    pub(super) length: Duration,
}

/// Takes observations, gives slices.
#[derive(Debug)]
pub(super) struct Timeline {
    idle_after: Duration,
    last: Moment,
    now: Now,
    /// Since when somebody may have been at work. Input before that does not count.
    here_since: Duration,
    /// Up to which time slices have been handed out.
    settled: Duration,
    /// Apps in front since then, while nobody knows whether anybody is there.
    pending: VecDeque<(AppName, Duration)>,
}

#[derive(Debug, Clone)]
enum Now {
    Here(AppName),
    Idle(AppName),
    Away(SessionState),
}

impl Timeline {
    /// Begins now, with nothing known.
    pub(super) fn new(idle_after: Duration, at: Moment) -> Self {
        Self {
            idle_after,
            last: at,
            now: Now::Away(SessionState::Unknown),
            here_since: at.elapsed,
            settled: at.elapsed,
            pending: VecDeque::new(),
        }
    }

    /// Whether nobody has been there for long.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.now, Now::Idle(_) | Now::Away(SessionState::Idle))
    }

    /// What it is now, and the app in front.
    pub(super) fn now(&self) -> (SessionState, Option<AppName>) {
        match &self.now {
            Now::Here(app) => (SessionState::Active, Some(Arc::clone(app))),
            Now::Idle(app) => (SessionState::Idle, Some(Arc::clone(app))),
            Now::Away(state) => (*state, None),
        }
    }

    /// What is seen now has been so since, and what was seen at the last observation was so until now.
    pub(super) fn observe(&mut self, at: Moment, seen: Seen) -> Vec<Slice> {
        let mut out = Vec::new();
        let step = at.elapsed.saturating_sub(self.last.elapsed);
        let slept = step.saturating_sub(at.awake.saturating_sub(self.last.awake));
        let slept = if slept < SHORTEST_SLEEP { Duration::ZERO } else { slept };
        let awake = step.saturating_sub(slept);
        let was_idle = self.is_idle();
        self.pass(at, awake, slept, &seen, &mut out);
        match seen {
            Seen::Away(state) => {
                self.settle(&at, &mut out);
                self.now = Now::Away(state);
            }
            Seen::Here { app, idle } => {
                if matches!(self.now, Now::Away(_)) || !slept.is_zero() {
                    self.here_since = at.elapsed;
                }
                let input = at.elapsed.saturating_sub(idle).max(self.here_since);
                self.settle_active_until(&at, input, &mut out);
                let still_idle = was_idle && slept.is_zero() && self.pending.is_empty() && self.here_since < at.elapsed;
                let is_idle = still_idle || self.pending_length() >= self.idle_after;
                if is_idle {
                    self.settle(&at, &mut out);
                }
                self.now = if is_idle { Now::Idle(app) } else { Now::Here(app) };
            }
        }
        self.last = at;
        out
    }

    /// Nothing more comes: hands out what is pending.
    pub(super) fn finish(&mut self, at: Moment) -> Vec<Slice> {
        self.observe(at, Seen::Away(SessionState::Unknown))
    }

    /// The time since the last observation.
    fn pass(&mut self, at: Moment, awake: Duration, slept: Duration, seen: &Seen, out: &mut Vec<Slice>) {
        match self.now.clone() {
            Now::Away(state) => self.put(&at, state, None, awake, out),
            Now::Here(app) => self.pending.push_back((app, awake)),
            Now::Idle(app) => {
                let input = match seen {
                    Seen::Here { idle, .. } if slept.is_zero() && *idle < self.idle_after => {
                        Some(at.elapsed.saturating_sub(*idle).max(self.last.elapsed))
                    }
                    Seen::Here { .. } | Seen::Away(_) => None,
                };
                let back = input.map_or(Duration::ZERO, |input| at.elapsed.saturating_sub(input));
                self.put(&at, SessionState::Idle, None, awake.saturating_sub(back), out);
                if let Some(input) = input {
                    self.here_since = input;
                    self.pending.push_back((Arc::clone(&app), back));
                    self.now = Now::Here(app);
                }
            }
        }
        if !slept.is_zero() {
            self.settle(&at, out);
            self.put(&at, SessionState::Suspended, None, slept, out);
        }
    }

    fn pending_length(&self) -> Duration {
        self.pending.iter().map(|(_, length)| *length).sum()
    }

    /// There was input then: what is pending from before was active.
    fn settle_active_until(&mut self, at: &Moment, input: Duration, out: &mut Vec<Slice>) {
        while let Some((app, length)) = self.pending.pop_front() {
            let confirmed = input.saturating_sub(self.settled).min(length);
            self.put(at, SessionState::Active, Some(Arc::clone(&app)), confirmed, out);
            let rest = length.saturating_sub(confirmed);
            if !rest.is_zero() {
                self.pending.push_front((app, rest));
                return;
            }
        }
    }

    /// Nothing more will be known of what is pending.
    fn settle(&mut self, at: &Moment, out: &mut Vec<Slice>) {
        let was_idle = self.pending_length() >= self.idle_after;
        for (app, length) in std::mem::take(&mut self.pending) {
            let (state, app) = if was_idle { (SessionState::Idle, None) } else { (SessionState::Active, Some(app)) };
            self.put(at, state, app, length, out);
        }
    }

    fn put(&mut self, at: &Moment, state: SessionState, app: Option<AppName>, length: Duration, out: &mut Vec<Slice>) {
        if length.is_zero() {
            return;
        }
        let from = at.wall_at(self.settled);
        self.settled += length;
        match out.last_mut() {
            Some(last) if (last.state, &last.app) == (state, &app) => last.length += length,
            _ => out.push(Slice { state, app, from, length }),
        }
    }
}

#[cfg(test)]
mod tests;
