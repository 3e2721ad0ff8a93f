//! Scenario: a session with apps, breaks, locks and sleep, up to a simulated week whose time must
//! add up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const IDLE_AFTER: Duration = Duration::from_mins(3);

/// A machine whose clocks are set by the test.
struct Machine {
    timeline: Timeline,
    at: ClockReading,
    app: AppName,
    last_input: Duration,
    intervals: Vec<Interval>,
}

impl Machine {
    fn new() -> Self {
        let at = ClockReading {
            wall: "2026-03-23T08:00:00Z".parse().unwrap(),
            elapsed: Duration::from_hours(1),
            awake: Duration::from_mins(50),
        };
        let timeline = Timeline::new(IDLE_AFTER, at);
        Self { timeline, at, app: "a".into(), last_input: at.elapsed, intervals: Vec::new() }
    }

    fn advance(&mut self, seconds: f64, awake: bool) {
        let length = Duration::from_secs_f64(seconds);
        self.at.elapsed += length;
        self.at.wall += length;
        if awake {
            self.at.awake += length;
        }
    }

    fn input(&mut self) {
        self.last_input = self.at.elapsed;
    }

    fn snapshot(&mut self) {
        let idle = self.at.elapsed.saturating_sub(self.last_input);
        self.add_observation(Observation::Present { app: Arc::clone(&self.app), idle });
    }

    fn add_observation(&mut self, observation: Observation) {
        let new = self.timeline.observe(self.at, observation);
        self.intervals.extend(new);
    }

    fn end(mut self) -> Vec<(SessionState, String, f64)> {
        let rest = self.timeline.finish(self.at);
        self.intervals.extend(rest);
        let mut merged: Vec<(SessionState, String, f64)> = Vec::new();
        for interval in self.intervals {
            let app = interval.app.as_deref().unwrap_or("").to_owned();
            let seconds = interval.length.as_secs_f64();
            match merged.last_mut() {
                Some(last) if (last.0, &last.1) == (interval.state, &app) => last.2 += seconds,
                _ => merged.push((interval.state, app, seconds)),
            }
        }
        merged
    }
}

fn interval(state: SessionState, app: &str, seconds: f64) -> (SessionState, String, f64) {
    (state, app.to_owned(), seconds)
}

/// Two apps are used in turn, with input in both: each gets its own time.
#[test]
fn apps_in_turn_get_their_own_time() {
    let mut machine = Machine::new();
    machine.snapshot();
    machine.advance(40.0, true);
    machine.input();
    machine.app = "b".into();
    machine.snapshot();
    machine.advance(20.0, true);
    machine.input();
    machine.snapshot();
    assert_eq!(machine.end(), [interval(SessionState::Active, "a", 40.0), interval(SessionState::Active, "b", 20.0)]);
}

/// A user who stops is idle from the last input on, although this is known only later, and active
/// again from the first input on.
#[test]
fn idle_starts_at_last_input() {
    let mut machine = Machine::new();
    machine.snapshot();
    machine.advance(60.0, true);
    machine.input();
    for _ in 0..100 {
        machine.advance(5.0, true);
        machine.snapshot();
    }
    assert_eq!(machine.timeline.current().0, SessionState::Idle);
    machine.advance(3.0, true);
    machine.input();
    machine.advance(2.0, true);
    machine.snapshot();
    assert_eq!(
        machine.end(),
        [
            interval(SessionState::Active, "a", 60.0),
            interval(SessionState::Idle, "", 503.0),
            interval(SessionState::Active, "a", 2.0)
        ]
    );
}

/// Time without input that is shorter than `idle_after` is active, in the apps that were in the
/// foreground.
#[test]
fn short_pause_is_active() {
    let mut machine = Machine::new();
    machine.snapshot();
    for app in ["b", "a"] {
        machine.advance(80.0, true);
        machine.app = app.into();
        machine.snapshot();
    }
    assert_eq!(machine.intervals, [], "undecided time is not reported");
    machine.advance(10.0, true);
    machine.input();
    machine.snapshot();
    let expected = [
        interval(SessionState::Active, "a", 80.0),
        interval(SessionState::Active, "b", 80.0),
        interval(SessionState::Active, "a", 10.0),
    ];
    assert_eq!(machine.end(), expected);
}

/// A long focus period is reported while it lasts.
#[test]
fn long_focus_is_reported_while_it_lasts() {
    let mut machine = Machine::new();
    machine.snapshot();
    for _ in 0..10 {
        machine.advance(5.0, true);
        machine.input();
        machine.snapshot();
    }
    let so_far: Duration = machine.intervals.iter().map(|interval| interval.length).sum();
    assert_eq!(so_far, Duration::from_secs(50));
}

/// Input from before a lock does not make the time after the unlock idle.
#[test]
fn input_before_lock_is_ignored_after_unlock() {
    let mut machine = Machine::new();
    machine.snapshot();
    machine.advance(30.0, true);
    machine.add_observation(Observation::Absent(SessionState::Locked));
    machine.advance(3600.0, true);
    machine.snapshot();
    machine.advance(10.0, true);
    machine.input();
    machine.snapshot();
    let expected = [
        interval(SessionState::Active, "a", 30.0),
        interval(SessionState::Locked, "", 3600.0),
        interval(SessionState::Active, "a", 10.0),
    ];
    assert_eq!(machine.end(), expected);
}

/// The machine sleeps with an open app. No event reports it, and the wall clock is set during the
/// sleep.
#[test]
fn sleep_with_clock_change_is_suspended() {
    let mut machine = Machine::new();
    machine.snapshot();
    machine.advance(30.0, true);
    machine.advance(7200.0, false);
    machine.at.wall -= Duration::from_hours(5);
    machine.snapshot();
    machine.advance(10.0, true);
    machine.input();
    machine.snapshot();
    let expected = [
        interval(SessionState::Active, "a", 30.0),
        interval(SessionState::Suspended, "", 7200.0),
        interval(SessionState::Active, "a", 10.0),
    ];
    assert_eq!(machine.end(), expected);
}

/// A step of the simulated week.
#[derive(Debug, Clone)]
enum Step {
    Work { app: u8, seconds: u32 },
    Stare { seconds: u32 },
    Lock { seconds: u32 },
    Disconnect { seconds: u32 },
    Sleep { seconds: u32 },
    SetClock { by: i32 },
    Lost { seconds: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..5u8, 1..600u32).prop_map(|(app, seconds)| Step::Work { app, seconds }),
        2 => (1..2000u32).prop_map(|seconds| Step::Stare { seconds }),
        2 => (1..4000u32).prop_map(|seconds| Step::Lock { seconds }),
        1 => (1..4000u32).prop_map(|seconds| Step::Disconnect { seconds }),
        1 => (10..60_000u32).prop_map(|seconds| Step::Sleep { seconds }),
        // Daylight saving does not affect a clock that counts from 1970, but a user may set it.
        1 => (-100_000..100_000i32).prop_map(|by| Step::SetClock { by }),
        1 => (1..500u32).prop_map(|seconds| Step::Lost { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// In a simulated week, the lengths of every state and every app add up to the nanosecond,
    /// across sleep, locks, lost displays and clock changes.
    #[test]
    fn simulated_week_adds_up(steps in proptest::collection::vec(step(), 1..400), poll in 1..20u32) {
        let mut machine = Machine::new();
        let begin = machine.at.elapsed;
        let mut truth: BTreeMap<(SessionState, String), u64> = BTreeMap::new();
        let mut add = |state, app: &str, seconds: u32| {
            *truth.entry((state, app.to_owned())).or_default() += u64::from(seconds);
        };
        machine.snapshot();
        for step in steps {
            match step {
                Step::Work { app, seconds } => {
                    machine.app = format!("app{app}").into();
                    machine.input();
                    machine.snapshot();
                    for second in 1..=seconds {
                        machine.advance(1.0, true);
                        machine.input();
                        if second.is_multiple_of(poll) {
                            machine.snapshot();
                        }
                    }
                    machine.snapshot();
                    add(SessionState::Active, &format!("app{app}"), seconds);
                }
                Step::Stare { seconds } => {
                    machine.input();
                    machine.snapshot();
                    for second in 1..=seconds {
                        machine.advance(1.0, true);
                        if second.is_multiple_of(poll) {
                            machine.snapshot();
                        }
                    }
                    machine.snapshot();
                    let app = machine.app.to_string();
                    let is_idle = seconds >= 180;
                    add(if is_idle { SessionState::Idle } else { SessionState::Active }, if is_idle { "" } else { &app }, seconds);
                    machine.input();
                    machine.snapshot();
                }
                Step::Lock { seconds } | Step::Disconnect { seconds } | Step::Lost { seconds } => {
                    let state = match step {
                        Step::Lock { .. } => SessionState::Locked,
                        Step::Disconnect { .. } => SessionState::Disconnected,
                        _ => SessionState::Unknown,
                    };
                    machine.add_observation(Observation::Absent(state));
                    machine.advance(f64::from(seconds), true);
                    machine.input();
                    machine.snapshot();
                    add(state, "", seconds);
                }
                Step::Sleep { seconds } => {
                    machine.advance(f64::from(seconds), false);
                    machine.snapshot();
                    add(SessionState::Suspended, "", seconds);
                }
                Step::SetClock { by } => machine.at.wall += jiff::SignedDuration::from_secs(by.into()),
            }
        }
        let end = machine.at.elapsed;
        let mut found: BTreeMap<(SessionState, String), Duration> = BTreeMap::new();
        let rest = machine.timeline.finish(machine.at);
        for interval in machine.intervals.into_iter().chain(rest) {
            let app = interval.app.as_deref().unwrap_or("").to_owned();
            *found.entry((interval.state, app)).or_default() += interval.length;
        }
        prop_assert_eq!(found.values().sum::<Duration>(), end.saturating_sub(begin));
        let truth: BTreeMap<_, _> = truth.into_iter().map(|(key, seconds)| (key, Duration::from_secs(seconds))).collect();
        prop_assert_eq!(found, truth);
    }
}
