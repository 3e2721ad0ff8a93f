//! What slices and instances add up to: plain computation, the clock is in what is added.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde::{Deserialize, Serialize};

use super::family::Platform;
use super::instances::Change;
use super::moment::Moment;
use super::timeline::{AppName, Slice};
use super::trace::Trace;
use crate::ioconnect::apps::OTHER;
use crate::session::SessionState;
use crate::usage::Usage;

/// Ends and begins of slices that lie further apart on the wall clock belong to different periods: it was set.
const CLOCK_JUMP: SignedDuration = SignedDuration::from_secs(2);
/// Most spans that wait to be put into the queue; with more, the queue has been full for long.
const MOST_WAITING: usize = 4000;
/// A platform that is older than this when it is first seen was there before the agent.
const FRESH: Duration = Duration::from_mins(2);

/// What an app adds up to, since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct AppFigures {
    pub(super) focus: Duration,
    pub(super) switches: u64,
    pub(super) starts: u64,
    pub(super) running: u64,
    pub(super) hangs: u64,
    pub(super) crashes: u64,
}

/// How the session is now, for people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FocusFigures {
    /// What it is; none before the first look, or without the source.
    pub state: Option<SessionState>,
    /// The app in front.
    pub app: Option<String>,
    /// Milliseconds that the user was active today.
    pub active_milliseconds_today: i64,
    /// Why nothing can be seen, if so.
    pub problem: Option<String>,
}

/// Something that took a time which is over, for histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Took {
    /// An app was in front.
    Focus(AppName, Duration),
    /// An instance was there.
    App(AppName, Duration),
    /// A platform ran.
    Platform(Duration),
    /// A platform started.
    Start(Duration),
}

/// Takes slices and changes, gives figures.
#[derive(Debug)]
pub(super) struct Tally {
    session: String,
    pub(super) states: BTreeMap<SessionState, Duration>,
    pub(super) apps: BTreeMap<AppName, AppFigures>,
    pub(super) platform_starts: u64,
    pub(super) dumps: u64,
    pub(super) usage: Usage,
    pub(super) now: FocusFigures,
    /// The focus that may go on.
    focus: Option<Focus>,
    last_app: Option<AppName>,
    platforms: Vec<Running>,
    /// Of the platform that ended last: what is known of its apps only afterwards belongs there.
    ended: Option<Trace>,
    seen_platforms: bool,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Focus {
    app: AppName,
    from: Timestamp,
    length: Duration,
}

#[derive(Debug)]
struct Running {
    platform: Platform,
    /// Clocks when it was first seen, and its age then.
    seen: Moment,
    age: Duration,
    is_fresh: bool,
    has_window: bool,
    trace: Trace,
}

impl Tally {
    pub(super) fn new(session: &str, usage: Usage) -> Self {
        Self {
            session: session.to_owned(),
            states: SessionState::ALL.into_iter().map(|state| (state, Duration::ZERO)).collect(),
            apps: BTreeMap::new(),
            platform_starts: 0,
            dumps: 0,
            usage,
            now: FocusFigures::default(),
            focus: None,
            last_app: None,
            platforms: Vec::new(),
            ended: None,
            seen_platforms: false,
            spans: Vec::new(),
        }
    }

    /// Spans that are over.
    pub(super) fn take_spans(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }

    /// Spans that found no room.
    pub(super) fn give_back(&mut self, spans: Vec<Span>) {
        let room = MOST_WAITING.saturating_sub(self.spans.len());
        self.spans.splice(0..0, spans.into_iter().take(room));
    }

    /// A further slice, right after the one before.
    pub(super) fn add(&mut self, slice: &Slice) -> Vec<Took> {
        *self.states.entry(slice.state).or_default() += slice.length;
        let day = self.usage.day(slice.from.to_zoned_datetime(TimeZone::system()).date());
        *day.states.entry(slice.state).or_default() += slice.length.as_secs_f64();
        let Some(app) = &slice.app else { return self.end_focus().into_iter().collect() };

        let is_switch = self.last_app.as_ref().is_some_and(|last| last != app);
        let of_day = day.apps.entry(app.to_string()).or_default();
        of_day.focus_seconds += slice.length.as_secs_f64();
        of_day.switches += u64::from(is_switch);
        let figures = self.apps.entry(Arc::clone(app)).or_default();
        figures.focus += slice.length;
        figures.switches += u64::from(is_switch);
        self.last_app = Some(Arc::clone(app));

        let goes_on = self.focus.as_ref().is_some_and(|focus| {
            let end = focus.from.checked_add(focus.length).unwrap_or(focus.from);
            focus.app == *app && slice.from.duration_since(end).abs() < CLOCK_JUMP
        });
        let over = if goes_on { None } else { self.end_focus() };
        let focus =
            self.focus.get_or_insert_with(|| Focus { app: Arc::clone(app), from: slice.from, length: Duration::ZERO });
        focus.length += slice.length;
        over.into_iter().collect()
    }

    /// The focus is over.
    pub(super) fn end_focus(&mut self) -> Option<Took> {
        let Focus { app, from, length } = self.focus.take()?;
        if &*app != OTHER
            && let Some(trace) = self.trace()
        {
            let span = trace.focus(&app, from, length);
            self.spans.extend(span);
        }
        Some(Took::Focus(app, length))
    }

    fn trace(&mut self) -> Option<&mut Trace> {
        let running = self.platforms.last_mut().map(|running| &mut running.trace);
        running.or(self.ended.as_mut())
    }

    /// What has become of instances.
    pub(super) fn change(&mut self, at: &Moment, changes: Vec<Change>, running: &BTreeMap<AppName, u64>) -> Vec<Took> {
        let mut took = Vec::new();
        for change in changes {
            match change {
                Change::Started(app) => {
                    let day = self.usage.day(at.wall.to_zoned_datetime(TimeZone::system()).date());
                    day.apps.entry(app.to_string()).or_default().starts += 1;
                    self.apps.entry(app).or_default().starts += 1;
                }
                Change::Ended { app, begun: Some((begun, length)), .. } => {
                    let span = self.trace().and_then(|trace| trace.app_session(&app, begun.wall, length));
                    self.spans.extend(span);
                    took.push(Took::App(app, length));
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
        took
    }

    /// An instance has ended by an error.
    pub(super) fn crash(&mut self, app: &AppName) {
        self.apps.entry(Arc::clone(app)).or_default().crashes += 1;
    }

    /// The window in front has stopped to answer.
    pub(super) fn hang(&mut self, app: &AppName) {
        self.apps.entry(Arc::clone(app)).or_default().hangs += 1;
    }

    /// The platforms that run now, and the processes that have windows.
    pub(super) fn see_platforms(&mut self, at: Moment, there: &[Platform], with_windows: &[u32]) -> Vec<Took> {
        let mut took = Vec::new();
        for running in self.platforms.extract_if(.., |running| !there.contains(&running.platform)) {
            let length = running.age + at.elapsed.saturating_sub(running.seen.elapsed);
            let from = running.seen.wall.checked_sub(running.age).unwrap_or(running.seen.wall);
            self.spans.push(running.trace.end(from, length));
            took.push(Took::Platform(length));
            self.ended = Some(running.trace);
        }
        for platform in there {
            if self.platforms.iter().any(|running| running.platform == *platform) {
                continue;
            }
            let started = i64::try_from(platform.started).ok().and_then(|s| Timestamp::from_second(s).ok());
            let age = started.map_or(SignedDuration::ZERO, |started| at.wall.duration_since(started));
            let age = Duration::try_from(age).unwrap_or_default();
            let is_fresh = self.seen_platforms && age < FRESH;
            self.platform_starts += u64::from(is_fresh);
            let trace = Trace::new(&self.session, *platform);
            self.platforms.push(Running { platform: *platform, seen: at, age, is_fresh, has_window: false, trace });
        }
        self.seen_platforms = true;
        for running in &mut self.platforms {
            if !running.has_window && with_windows.contains(&running.platform.pid) {
                running.has_window = true;
                if running.is_fresh {
                    took.push(Took::Start(running.age + at.elapsed.saturating_sub(running.seen.elapsed)));
                }
            }
        }
        took
    }
}

#[cfg(test)]
mod tests;
