//! Aggregates intervals and instances into figures, completed durations and spans. Pure
//! computation: the time is part of the input.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde::{Deserialize, Serialize};

use super::clock::ClockReading;
use super::instances::Change;
use super::process_tree::Platform;
use super::timeline::{AppName, Interval};
use super::trace::Trace;
use crate::ioconnect::apps::OTHER;
use crate::session::SessionState;
use crate::usage::Usage;

/// If the end of one interval and the start of the next differ by more than this on the wall clock,
/// the clock was set, and the two belong to different focus periods.
const MIN_CLOCK_JUMP: SignedDuration = SignedDuration::from_secs(2);
/// Maximum number of spans that wait for the queue. More than this means that the queue has been
/// full for a long time.
const MAX_PENDING_SPANS: usize = 4000;
/// Maximum age of a platform, when it is first seen, to count as started while the agent was
/// running.
const MAX_AGE_AT_FIRST_SIGHT: Duration = Duration::from_mins(2);

/// Figures of one app since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct AppFigures {
    pub(super) focus: Duration,
    pub(super) switches: u64,
    pub(super) starts: u64,
    pub(super) running: u64,
    pub(super) hangs: u64,
    pub(super) crashes: u64,
}

/// The current state of the session, for display.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FocusFigures {
    /// The state; none before the first observation, or if the source is off.
    pub state: Option<SessionState>,
    /// The app in the foreground.
    pub app: Option<String>,
    /// Milliseconds that the user has been active today.
    pub active_milliseconds_today: i64,
    /// Why the desktop cannot be observed, if so.
    pub problem: Option<String>,
}

/// A completed duration, to be recorded in a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Completed {
    /// An app was in the foreground.
    Focus(AppName, Duration),
    /// An instance of an app was running.
    AppSession(AppName, Duration),
    /// A platform was running.
    PlatformSession(Duration),
    /// A platform was starting: from the start of its process to its first window.
    PlatformStart(Duration),
}

/// Aggregates intervals and changes into figures.
#[derive(Debug)]
pub(super) struct UsageAggregate {
    session: String,
    pub(super) states: BTreeMap<SessionState, Duration>,
    pub(super) apps: BTreeMap<AppName, AppFigures>,
    pub(super) platform_starts: u64,
    pub(super) crash_dumps: u64,
    pub(super) usage: Usage,
    pub(super) current: FocusFigures,
    /// The current focus period, which may continue.
    focus: Option<FocusPeriod>,
    last_app: Option<AppName>,
    platforms: Vec<RunningPlatform>,
    /// Trace of the platform that ended last. Apps of that platform whose end is noticed only
    /// afterwards belong to it.
    last_trace: Option<Trace>,
    has_seen_platforms: bool,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct FocusPeriod {
    app: AppName,
    from: Timestamp,
    length: Duration,
}

#[derive(Debug)]
struct RunningPlatform {
    platform: Platform,
    /// When it was first seen, and its age at that time.
    first_seen: ClockReading,
    age: Duration,
    start_was_observed: bool,
    has_window: bool,
    trace: Trace,
}

impl UsageAggregate {
    pub(super) fn new(session: &str, usage: Usage) -> Self {
        Self {
            session: session.to_owned(),
            states: SessionState::ALL.into_iter().map(|state| (state, Duration::ZERO)).collect(),
            apps: BTreeMap::new(),
            platform_starts: 0,
            crash_dumps: 0,
            usage,
            current: FocusFigures::default(),
            focus: None,
            last_app: None,
            platforms: Vec::new(),
            last_trace: None,
            has_seen_platforms: false,
            spans: Vec::new(),
        }
    }

    /// Returns the finished spans and forgets them.
    pub(super) fn take_spans(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }

    /// Takes back spans that the queue could not accept. Spans above the maximum are dropped.
    pub(super) fn return_spans(&mut self, spans: Vec<Span>) {
        let room = MAX_PENDING_SPANS.saturating_sub(self.spans.len());
        self.spans.splice(0..0, spans.into_iter().take(room));
    }

    /// Adds the next interval, which directly follows the previous one.
    pub(super) fn add_interval(&mut self, interval: &Interval) -> Vec<Completed> {
        *self.states.entry(interval.state).or_default() += interval.length;
        let day = self.usage.day(interval.from.to_zoned_datetime(TimeZone::system()).date());
        *day.states.entry(interval.state).or_default() += interval.length.as_secs_f64();
        let Some(app) = &interval.app else { return self.end_focus().into_iter().collect() };

        let is_switch = self.last_app.as_ref().is_some_and(|last| last != app);
        let day_app = day.apps.entry(app.to_string()).or_default();
        day_app.focus_seconds += interval.length.as_secs_f64();
        day_app.switches += u64::from(is_switch);
        let figures = self.apps.entry(Arc::clone(app)).or_default();
        figures.focus += interval.length;
        figures.switches += u64::from(is_switch);
        self.last_app = Some(Arc::clone(app));

        let continues = self.focus.as_ref().is_some_and(|focus| {
            let end = focus.from.checked_add(focus.length).unwrap_or(focus.from);
            focus.app == *app && interval.from.duration_since(end).abs() < MIN_CLOCK_JUMP
        });
        let ended_focus = if continues { None } else { self.end_focus() };
        let focus = self.focus.get_or_insert_with(|| FocusPeriod {
            app: Arc::clone(app),
            from: interval.from,
            length: Duration::ZERO,
        });
        focus.length += interval.length;
        ended_focus.into_iter().collect()
    }

    /// Ends the current focus period.
    pub(super) fn end_focus(&mut self) -> Option<Completed> {
        let FocusPeriod { app, from, length } = self.focus.take()?;
        if &*app != OTHER
            && let Some(trace) = self.trace()
        {
            let span = trace.focus(&app, from, length);
            self.spans.extend(span);
        }
        Some(Completed::Focus(app, length))
    }

    fn trace(&mut self) -> Option<&mut Trace> {
        let running = self.platforms.last_mut().map(|running| &mut running.trace);
        running.or(self.last_trace.as_mut())
    }

    /// Applies starts and ends of instances.
    pub(super) fn apply_changes(
        &mut self,
        at: &ClockReading,
        changes: Vec<Change>,
        running: &BTreeMap<AppName, u64>,
    ) -> Vec<Completed> {
        let mut completed = Vec::new();
        for change in changes {
            match change {
                Change::Started(app) => {
                    let day = self.usage.day(at.wall.to_zoned_datetime(TimeZone::system()).date());
                    day.apps.entry(app.to_string()).or_default().starts += 1;
                    self.apps.entry(app).or_default().starts += 1;
                }
                Change::Ended { app, started: Some((started, length)), .. } => {
                    let span = self.trace().and_then(|trace| trace.app_session(&app, started.wall, length));
                    self.spans.extend(span);
                    completed.push(Completed::AppSession(app, length));
                }
                Change::Ended { .. } => {}
            }
        }
        for figures in self.apps.values_mut() {
            figures.running = 0;
        }
        for (app, count) in running {
            self.apps.entry(Arc::clone(app)).or_default().running = *count;
        }
        completed
    }

    /// Counts an instance that ended because of an error.
    pub(super) fn count_crash(&mut self, app: &AppName) {
        self.apps.entry(Arc::clone(app)).or_default().crashes += 1;
    }

    /// Counts a foreground window that stopped responding.
    pub(super) fn count_hang(&mut self, app: &AppName) {
        self.apps.entry(Arc::clone(app)).or_default().hangs += 1;
    }

    /// Updates the running platforms. `with_windows` are the ids of processes that have windows.
    pub(super) fn update_platforms(
        &mut self,
        at: ClockReading,
        present: &[Platform],
        with_windows: &[u32],
    ) -> Vec<Completed> {
        let mut completed = Vec::new();
        for running in self.platforms.extract_if(.., |running| !present.contains(&running.platform)) {
            let length = running.age + at.elapsed.saturating_sub(running.first_seen.elapsed);
            let from = running.first_seen.wall.checked_sub(running.age).unwrap_or(running.first_seen.wall);
            self.spans.push(running.trace.end(from, length));
            completed.push(Completed::PlatformSession(length));
            self.last_trace = Some(running.trace);
        }
        for platform in present {
            if self.platforms.iter().any(|running| running.platform == *platform) {
                continue;
            }
            let started = i64::try_from(platform.started).ok().and_then(|s| Timestamp::from_second(s).ok());
            let age = started.map_or(SignedDuration::ZERO, |started| at.wall.duration_since(started));
            let age = Duration::try_from(age).unwrap_or_default();
            let start_was_observed = self.has_seen_platforms && age < MAX_AGE_AT_FIRST_SIGHT;
            self.platform_starts += u64::from(start_was_observed);
            let trace = Trace::new(&self.session, *platform);
            self.platforms.push(RunningPlatform {
                platform: *platform,
                first_seen: at,
                age,
                start_was_observed,
                has_window: false,
                trace,
            });
        }
        self.has_seen_platforms = true;
        for running in &mut self.platforms {
            if !running.has_window && with_windows.contains(&running.platform.pid) {
                running.has_window = true;
                if running.start_was_observed {
                    completed.push(Completed::PlatformStart(
                        running.age + at.elapsed.saturating_sub(running.first_seen.elapsed),
                    ));
                }
            }
        }
        completed
    }
}

#[cfg(test)]
mod tests;
