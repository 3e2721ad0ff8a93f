//! Sums, switches, periods, spans.

use super::*;
use crate::sources::focus::instances::Owner;

fn at(seconds: u64) -> Moment {
    let elapsed = Duration::from_secs(seconds);
    Moment { wall: "2026-03-23T08:00:00Z".parse::<Timestamp>().unwrap() + elapsed, elapsed, awake: elapsed }
}

fn active(app: &str, from: u64, length: u64) -> Slice {
    let (from, length) = (at(from).wall, Duration::from_secs(length));
    Slice { state: SessionState::Active, app: Some(app.into()), from, length }
}

/// Slices of one app in a row are one period; a switch, a lock or a clock that was set ends it; only switches count as
/// such, also when something lay between.
#[test]
fn periods_and_switches() {
    let mut tally = Tally::new("s", Usage::default());
    let focus = |app: &str, seconds| vec![Took::Focus(app.into(), Duration::from_secs(seconds))];
    assert_eq!(tally.add(&active("a", 0, 5)), []);
    assert_eq!(tally.add(&active("a", 5, 5)), []);
    assert_eq!(tally.add(&active("b", 10, 3)), focus("a", 10));
    let locked = Slice { state: SessionState::Locked, app: None, ..active("", 13, 100) };
    assert_eq!(tally.add(&locked), focus("b", 3));
    assert_eq!(tally.add(&active("b", 113, 2)), []);
    // An hour was put back.
    let back = Slice { from: at(115).wall - SignedDuration::from_hours(1), ..active("b", 0, 4) };
    assert_eq!(tally.add(&back), focus("b", 2));
    let figures = |app: &str| (tally.apps[app].focus.as_secs(), tally.apps[app].switches);
    assert_eq!((figures("a"), figures("b")), ((10, 0), (9, 1)));
    assert_eq!(tally.states[&SessionState::Active] + tally.states[&SessionState::Locked], Duration::from_secs(119));
    let day = tally.usage.days.values().next().unwrap();
    assert_eq!(
        (day.apps["b"].focus_seconds, day.apps["b"].switches, day.states[&SessionState::Locked]),
        (9.0, 1, 100.0)
    );
}

/// A platform that starts while the agent runs has its start and its session told, and a trace with what was in it; one
/// that was there before has no start; a restarted agent makes the same trace.
#[test]
fn a_platform_and_its_trace() {
    let started = at(100).wall.as_second().cast_unsigned();
    let platform = Platform { pid: 9816, started };
    let mut tally = Tally::new("s", Usage::default());
    assert_eq!(tally.see_platforms(at(0), &[], &[]), []);
    assert_eq!(tally.see_platforms(at(102), &[platform], &[]), []);
    assert_eq!(tally.see_platforms(at(107), &[platform], &[9816]), [Took::Start(Duration::from_secs(7))]);
    let _open = tally.add(&active("orders", 110, 30));
    let _over = tally.end_focus();
    let begun = (at(108), Duration::from_secs(50));
    let _ = tally.change(
        &at(158),
        vec![Change::Ended { owner: Owner::Window(1), app: "orders".into(), begun: Some(begun) }],
        &BTreeMap::new(),
    );
    assert_eq!(tally.see_platforms(at(160), &[], &[]), [Took::Platform(Duration::from_mins(1))]);
    assert_eq!((tally.platform_starts, tally.see_platforms(at(161), &[], &[])), (1, Vec::new()));
    let spans = tally.take_spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["focus", "app session", "platform session"]);
    let root = &spans[2];
    assert!(spans[..2].iter().all(|span| span.parent_span_id == root.span_id && span.trace_id == root.trace_id));
    assert_eq!(root.end_time_unix_nano - root.start_time_unix_nano, 60_000_000_000);

    let mut restarted = Tally::new("s", Usage::default());
    assert_eq!(restarted.see_platforms(at(130), &[platform], &[9816]), []);
    assert_eq!(restarted.platform_starts, 0);
    let _ended = restarted.see_platforms(at(160), &[], &[]);
    assert_eq!((&restarted.take_spans()[0].trace_id, restarted.spans.len()), (&root.trace_id, 0));
}

/// A session's spans are bounded, and its root says how many are missing.
#[test]
fn a_trace_is_bounded() {
    let mut trace = Trace::new("s", Platform { pid: 1, started: 1 });
    let second = Duration::from_secs(1);
    let sent = (0..2100).filter_map(|_| trace.focus("a", at(0).wall, second)).count();
    assert_eq!(sent, 2000);
    assert_eq!(trace.focus("a", at(0).wall, second / 2), None);
    let root = trace.end(at(0).wall, second);
    assert_eq!(root.attributes[0].key, "ioconnect.spans.left_out");
    assert!(format!("{:?}", root.attributes[0].value).contains("IntValue(100)"));
}

fn platform(pid: u32, started: u64) -> Platform {
    Platform { pid, started: at(started).wall.as_second().cast_unsigned() }
}

fn ended(app: &str, begun: Option<(Moment, Duration)>) -> Change {
    Change::Ended { owner: Owner::Window(1), app: app.into(), begun }
}

/// Guarantees: a gap shorter than the tolerance for clock changes, in either direction, does not end a focus period.
#[test]
fn focus_period_with_small_clock_change_continues() {
    let mut tally = Tally::new("s", Usage::default());
    assert_eq!(tally.add(&active("a", 0, 5)), []);
    let later = Slice { from: at(5).wall + SignedDuration::from_millis(1999), ..active("a", 0, 5) };
    assert_eq!(tally.add(&later), []);
    let earlier = Slice { from: at(10).wall - SignedDuration::from_millis(1999), ..active("a", 0, 5) };
    assert_eq!(tally.add(&earlier), []);
    assert_eq!(tally.end_focus(), Some(Took::Focus("a".into(), Duration::from_secs(15))));
    assert_eq!(tally.end_focus(), None);
}

/// Guarantees: a gap as long as the tolerance ends a focus period.
#[test]
fn focus_period_with_clock_jump_ends() {
    for jump in [SignedDuration::from_secs(2), SignedDuration::from_secs(-2)] {
        let mut tally = Tally::new("s", Usage::default());
        assert_eq!(tally.add(&active("a", 0, 5)), []);
        let after = Slice { from: at(5).wall + jump, ..active("a", 0, 5) };
        assert_eq!(tally.add(&after), [Took::Focus("a".into(), Duration::from_secs(5))]);
    }
}

/// Guarantees: time of one state and app is summed, not replaced, also in the daily history.
#[test]
fn slices_of_one_day_add_up() {
    let mut tally = Tally::new("s", Usage::default());
    for (app, from) in [("a", 0), ("b", 5), ("a", 10), ("b", 15)] {
        let _ = tally.add(&active(app, from, 5));
    }
    assert_eq!(tally.states[&SessionState::Active], Duration::from_secs(20));
    assert_eq!(tally.states[&SessionState::Locked], Duration::ZERO);
    assert_eq!((tally.apps["a"].focus, tally.apps["a"].switches), (Duration::from_secs(10), 1));
    assert_eq!((tally.apps["b"].focus, tally.apps["b"].switches), (Duration::from_secs(10), 2));
    let day = tally.usage.days.values().next().unwrap();
    assert_eq!(day.states[&SessionState::Active].to_bits(), 20.0_f64.to_bits());
    assert_eq!((day.apps["a"].focus_seconds, day.apps["a"].switches), (10.0, 1));
    assert_eq!((day.apps["b"].focus_seconds, day.apps["b"].switches), (10.0, 2));
}

/// Guarantees: starts are counted for the agent's life and for the day, and the number of running instances is the latest.
#[test]
fn instances_are_counted() {
    let mut tally = Tally::new("s", Usage::default());
    let started = |app: &str| Change::Started(app.into());
    let running = |counts: &[(&str, u64)]| counts.iter().map(|(app, count)| (AppName::from(*app), *count)).collect();
    let changes = vec![started("a"), started("a"), started("b")];
    assert_eq!(tally.change(&at(0), changes, &running(&[("a", 2), ("b", 1)])), []);
    assert_eq!((tally.apps["a"].starts, tally.apps["a"].running), (2, 2));
    assert_eq!((tally.apps["b"].starts, tally.apps["b"].running), (1, 1));
    let day = tally.usage.days.values().next().unwrap();
    assert_eq!((day.apps["a"].starts, day.apps["b"].starts), (2, 1));

    let length = Duration::from_secs(7);
    let changes = vec![ended("b", Some((at(1), length))), ended("a", None)];
    assert_eq!(tally.change(&at(8), changes, &running(&[("a", 1)])), [Took::App("b".into(), length)]);
    assert_eq!((tally.apps["a"].running, tally.apps["b"].running), (1, 0));
    assert_eq!((tally.apps["a"].starts, tally.apps["b"].starts), (2, 1));
}

/// Guarantees: crashes and hangs are counted for their app alone.
#[test]
fn crashes_and_hangs_are_counted() {
    let mut tally = Tally::new("s", Usage::default());
    let (a, b) = (AppName::from("a"), AppName::from("b"));
    for _ in 0..2 {
        tally.crash(&a);
    }
    for _ in 0..3 {
        tally.hang(&b);
    }
    assert_eq!((tally.apps["a"].crashes, tally.apps["a"].hangs), (2, 0));
    assert_eq!((tally.apps["b"].crashes, tally.apps["b"].hangs), (0, 3));
}

/// Guarantees: programs that are not apps of the platform have a focus time and no span.
#[test]
fn focus_of_other_program_has_no_span() {
    let mut tally = Tally::new("s", Usage::default());
    let _ = tally.see_platforms(at(0), &[platform(1, 0)], &[]);
    let _ = tally.add(&active(OTHER, 0, 5));
    assert_eq!(tally.end_focus(), Some(Took::Focus(OTHER.into(), Duration::from_secs(5))));
    assert_eq!(tally.take_spans(), []);
    let _ = tally.add(&active("a", 5, 5));
    let _ = tally.end_focus();
    assert_eq!(tally.take_spans().len(), 1);
}

/// Guarantees: an app session that ends after its platform belongs to the trace of that platform.
#[test]
fn app_session_after_platform_belongs_to_its_trace() {
    let mut tally = Tally::new("s", Usage::default());
    let _ = tally.see_platforms(at(0), &[platform(1, 0)], &[]);
    let _ = tally.see_platforms(at(60), &[], &[]);
    let begun = Some((at(10), Duration::from_secs(51)));
    let _ = tally.change(&at(61), vec![ended("a", begun)], &BTreeMap::new());
    let spans = tally.take_spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["platform session", "app session"]);
    assert_eq!(spans[0].trace_id, spans[1].trace_id);
}

/// Guarantees: the length of a platform session includes the time before it was first seen.
#[test]
fn platform_session_starts_before_it_was_seen() {
    let mut tally = Tally::new("s", Usage::default());
    let _ = tally.see_platforms(at(300), &[platform(1, 100)], &[]);
    assert_eq!(tally.see_platforms(at(400), &[], &[]), [Took::Platform(Duration::from_secs(300))]);
    let span = &tally.take_spans()[0];
    assert_eq!(i128::from(span.start_time_unix_nano), at(100).wall.as_nanosecond());
    assert_eq!(i128::from(span.end_time_unix_nano), at(400).wall.as_nanosecond());
}

/// Guarantees: only a platform that is younger than two minutes when it is first seen counts as started, and not one that ran
/// before the agent.
#[test]
fn platform_start_counts_only_when_fresh() {
    for (age, starts) in [(119, 1), (120, 0)] {
        let mut tally = Tally::new("s", Usage::default());
        assert_eq!(tally.see_platforms(at(0), &[], &[]), []);
        let there = [platform(1, 200 - age)];
        let took = tally.see_platforms(at(200), &there, &[1]);
        assert_eq!(took.len() as u64, starts, "{age} s");
        assert_eq!(tally.platform_starts, starts, "{age} s");
    }
    let mut tally = Tally::new("s", Usage::default());
    assert_eq!(tally.see_platforms(at(200), &[platform(1, 199)], &[1]), []);
    assert_eq!(tally.platform_starts, 0);
}

/// Guarantees: a platform is started once its own window is there, and only once.
#[test]
fn platform_start_is_reported_once_with_its_own_window() {
    let mut tally = Tally::new("s", Usage::default());
    let (first, second) = (platform(1, 10), platform(2, 20));
    let _ = tally.see_platforms(at(0), &[], &[]);
    assert_eq!(tally.see_platforms(at(11), &[first], &[2]), []);
    assert_eq!(tally.see_platforms(at(22), &[first, second], &[2]), [Took::Start(Duration::from_secs(2))]);
    assert_eq!(tally.see_platforms(at(23), &[first, second], &[1, 2]), [Took::Start(Duration::from_secs(13))]);
    assert_eq!(tally.see_platforms(at(24), &[first, second], &[1, 2]), []);
    assert_eq!(tally.platform_starts, 2);
    assert_eq!(tally.see_platforms(at(30), &[second], &[]), [Took::Platform(Duration::from_secs(20))]);
}

/// Guarantees: spans that are given back come first again, and what exceeds the maximum is dropped.
#[test]
fn spans_given_back_come_first_and_are_bounded() {
    let span = |name: &str| Span { name: name.to_owned(), ..Span::default() };
    let mut tally = Tally::new("s", Usage::default());
    tally.spans = vec![span("new")];
    tally.give_back(vec![span("old"), span("older")]);
    let names: Vec<_> = tally.take_spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["old", "older", "new"]);
    assert_eq!(tally.take_spans(), []);

    tally.spans = vec![span("new")];
    tally.give_back(vec![span("old"); MOST_WAITING + 5]);
    assert_eq!(tally.spans.len(), MOST_WAITING);
    assert_eq!(tally.spans[MOST_WAITING - 1].name, "new");
    tally.give_back(vec![span("more")]);
    assert_eq!(tally.spans.len(), MOST_WAITING);
}
