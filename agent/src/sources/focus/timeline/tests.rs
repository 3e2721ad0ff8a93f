//! Scenes of a session, and a trader's week that adds up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const IDLE_AFTER: Duration = Duration::from_mins(3);

/// A machine whose clocks the test sets.
struct Machine {
    timeline: Timeline,
    at: Moment,
    app: AppName,
    last_input: Duration,
    slices: Vec<Slice>,
}

impl Machine {
    fn new() -> Self {
        let at = Moment {
            wall: "2026-03-23T08:00:00Z".parse().unwrap(),
            elapsed: Duration::from_hours(1),
            awake: Duration::from_mins(50),
        };
        let timeline = Timeline::new(IDLE_AFTER, at);
        Self { timeline, at, app: "a".into(), last_input: at.elapsed, slices: Vec::new() }
    }

    fn pass(&mut self, seconds: f64, awake: bool) {
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

    fn look(&mut self) {
        let idle = self.at.elapsed.saturating_sub(self.last_input);
        self.see(Seen::Here { app: Arc::clone(&self.app), idle });
    }

    fn see(&mut self, seen: Seen) {
        let new = self.timeline.observe(self.at, seen);
        self.slices.extend(new);
    }

    fn end(mut self) -> Vec<(SessionState, String, f64)> {
        let rest = self.timeline.finish(self.at);
        self.slices.extend(rest);
        let mut merged: Vec<(SessionState, String, f64)> = Vec::new();
        for slice in self.slices {
            let app = slice.app.as_deref().unwrap_or("").to_owned();
            let seconds = slice.length.as_secs_f64();
            match merged.last_mut() {
                Some(last) if (last.0, &last.1) == (slice.state, &app) => last.2 += seconds,
                _ => merged.push((slice.state, app, seconds)),
            }
        }
        merged
    }
}

fn slice(state: SessionState, app: &str, seconds: f64) -> (SessionState, String, f64) {
    (state, app.to_owned(), seconds)
}

/// Two apps in turn, typing in both: each has its own time.
#[test]
fn apps_in_turn() {
    let mut machine = Machine::new();
    machine.look();
    machine.pass(40.0, true);
    machine.input();
    machine.app = "b".into();
    machine.look();
    machine.pass(20.0, true);
    machine.input();
    machine.look();
    assert_eq!(machine.end(), [slice(SessionState::Active, "a", 40.0), slice(SessionState::Active, "b", 20.0)]);
}

/// Who stops is idle from the last input on, although that is known only later; who comes back is active from then on.
#[test]
fn idle_is_dated_back_to_the_last_input() {
    let mut machine = Machine::new();
    machine.look();
    machine.pass(60.0, true);
    machine.input();
    for _ in 0..100 {
        machine.pass(5.0, true);
        machine.look();
    }
    assert_eq!(machine.timeline.now().0, SessionState::Idle);
    machine.pass(3.0, true);
    machine.input();
    machine.pass(2.0, true);
    machine.look();
    assert_eq!(
        machine.end(),
        [
            slice(SessionState::Active, "a", 60.0),
            slice(SessionState::Idle, "", 503.0),
            slice(SessionState::Active, "a", 2.0)
        ]
    );
}

/// Short of the limit, time without input is active, in the apps that were in front.
#[test]
fn thinking_is_not_idle() {
    let mut machine = Machine::new();
    machine.look();
    for app in ["b", "a"] {
        machine.pass(80.0, true);
        machine.app = app.into();
        machine.look();
    }
    assert_eq!(machine.slices, [], "nothing is said before it is known");
    machine.pass(10.0, true);
    machine.input();
    machine.look();
    let expected = [
        slice(SessionState::Active, "a", 80.0),
        slice(SessionState::Active, "b", 80.0),
        slice(SessionState::Active, "a", 10.0),
    ];
    assert_eq!(machine.end(), expected);
}

/// A long focus is handed out while it lasts.
#[test]
fn long_focus_is_reported_while_it_lasts() {
    let mut machine = Machine::new();
    machine.look();
    for _ in 0..10 {
        machine.pass(5.0, true);
        machine.input();
        machine.look();
    }
    let so_far: Duration = machine.slices.iter().map(|slice| slice.length).sum();
    assert_eq!(so_far, Duration::from_secs(50));
}

/// Locked while typing, unlocked later: input from before does not make the time after the unlock idle.
#[test]
fn locked_and_unlocked() {
    let mut machine = Machine::new();
    machine.look();
    machine.pass(30.0, true);
    machine.see(Seen::Away(SessionState::Locked));
    machine.pass(3600.0, true);
    machine.look();
    machine.pass(10.0, true);
    machine.input();
    machine.look();
    let expected = [
        slice(SessionState::Active, "a", 30.0),
        slice(SessionState::Locked, "", 3600.0),
        slice(SessionState::Active, "a", 10.0),
    ];
    assert_eq!(machine.end(), expected);
}

/// The machine sleeps under an open app; nobody told, and the wall clock was set meanwhile.
#[test]
fn asleep_and_a_clock_that_was_set() {
    let mut machine = Machine::new();
    machine.look();
    machine.pass(30.0, true);
    machine.pass(7200.0, false);
    machine.at.wall -= Duration::from_hours(5);
    machine.look();
    machine.pass(10.0, true);
    machine.input();
    machine.look();
    let expected = [
        slice(SessionState::Active, "a", 30.0),
        slice(SessionState::Suspended, "", 7200.0),
        slice(SessionState::Active, "a", 10.0),
    ];
    assert_eq!(machine.end(), expected);
}

/// What happens next in a week.
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
        // An hour of daylight saving is nothing to a clock that counts from 1970, but somebody may set it.
        1 => (-100_000..100_000i32).prop_map(|by| Step::SetClock { by }),
        1 => (1..500u32).prop_map(|seconds| Step::Lost { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// A simulated week: lengths add up to the nanosecond, in each state and for each app, over sleep, locks, lost
    /// displays and clocks that are set.
    #[test]
    fn a_week_adds_up(steps in proptest::collection::vec(step(), 1..400), poll in 1..20u32) {
        let mut machine = Machine::new();
        let begin = machine.at.elapsed;
        let mut truth: BTreeMap<(SessionState, String), u64> = BTreeMap::new();
        let mut add = |state, app: &str, seconds: u32| {
            *truth.entry((state, app.to_owned())).or_default() += u64::from(seconds);
        };
        machine.look();
        for step in steps {
            match step {
                Step::Work { app, seconds } => {
                    machine.app = format!("app{app}").into();
                    machine.input();
                    machine.look();
                    for second in 1..=seconds {
                        machine.pass(1.0, true);
                        machine.input();
                        if second.is_multiple_of(poll) {
                            machine.look();
                        }
                    }
                    machine.look();
                    add(SessionState::Active, &format!("app{app}"), seconds);
                }
                Step::Stare { seconds } => {
                    machine.input();
                    machine.look();
                    for second in 1..=seconds {
                        machine.pass(1.0, true);
                        if second.is_multiple_of(poll) {
                            machine.look();
                        }
                    }
                    machine.look();
                    let app = machine.app.to_string();
                    let is_idle = seconds >= 180;
                    add(if is_idle { SessionState::Idle } else { SessionState::Active }, if is_idle { "" } else { &app }, seconds);
                    machine.input();
                    machine.look();
                }
                Step::Lock { seconds } | Step::Disconnect { seconds } | Step::Lost { seconds } => {
                    let state = match step {
                        Step::Lock { .. } => SessionState::Locked,
                        Step::Disconnect { .. } => SessionState::Disconnected,
                        _ => SessionState::Unknown,
                    };
                    machine.see(Seen::Away(state));
                    machine.pass(f64::from(seconds), true);
                    machine.input();
                    machine.look();
                    add(state, "", seconds);
                }
                Step::Sleep { seconds } => {
                    machine.pass(f64::from(seconds), false);
                    machine.look();
                    add(SessionState::Suspended, "", seconds);
                }
                Step::SetClock { by } => machine.at.wall += jiff::SignedDuration::from_secs(by.into()),
            }
        }
        let end = machine.at.elapsed;
        let mut found: BTreeMap<(SessionState, String), Duration> = BTreeMap::new();
        let rest = machine.timeline.finish(machine.at);
        for slice in machine.slices.into_iter().chain(rest) {
            let app = slice.app.as_deref().unwrap_or("").to_owned();
            *found.entry((slice.state, app)).or_default() += slice.length;
        }
        prop_assert_eq!(found.values().sum::<Duration>(), end.saturating_sub(begin));
        let truth: BTreeMap<_, _> = truth.into_iter().map(|(key, seconds)| (key, Duration::from_secs(seconds))).collect();
        prop_assert_eq!(found, truth);
    }
}
