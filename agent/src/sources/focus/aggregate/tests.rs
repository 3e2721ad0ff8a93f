//! Scenario: intervals, instances and platforms are aggregated into sums, focus periods and spans.

use super::*;
use crate::sources::focus::instances::Owner;

fn at(seconds: u64) -> ClockReading {
    let elapsed = Duration::from_secs(seconds);
    ClockReading { wall: "2026-03-23T08:00:00Z".parse::<Timestamp>().unwrap() + elapsed, elapsed, awake: elapsed }
}

fn active(app: &str, from: u64, length: u64) -> Interval {
    let (from, length) = (at(from).wall, Duration::from_secs(length));
    Interval { state: SessionState::Active, app: Some(app.into()), from, length }
}

/// Consecutive intervals of one app are one focus period. A switch, a lock or a clock change ends
/// it. Only a change of app counts as a switch, even if a lock was in between.
#[test]
fn focus_period_ends_at_switch_lock_and_clock_change() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let focus = |app: &str, seconds| vec![Completed::Focus(app.into(), Duration::from_secs(seconds))];
    assert_eq!(aggregate.add_interval(&active("a", 0, 5)), []);
    assert_eq!(aggregate.add_interval(&active("a", 5, 5)), []);
    assert_eq!(aggregate.add_interval(&active("b", 10, 3)), focus("a", 10));
    let locked = Interval { state: SessionState::Locked, app: None, ..active("", 13, 100) };
    assert_eq!(aggregate.add_interval(&locked), focus("b", 3));
    assert_eq!(aggregate.add_interval(&active("b", 113, 2)), []);
    // The clock was set back by an hour.
    let back = Interval { from: at(115).wall - SignedDuration::from_hours(1), ..active("b", 0, 4) };
    assert_eq!(aggregate.add_interval(&back), focus("b", 2));
    let figures = |app: &str| (aggregate.apps[app].focus.as_secs(), aggregate.apps[app].switches);
    assert_eq!((figures("a"), figures("b")), ((10, 0), (9, 1)));
    assert_eq!(
        aggregate.states[&SessionState::Active] + aggregate.states[&SessionState::Locked],
        Duration::from_secs(119)
    );
    let day = aggregate.usage.days.values().next().unwrap();
    assert_eq!(
        (day.apps["b"].focus_seconds, day.apps["b"].switches, day.states[&SessionState::Locked]),
        (9.0, 1, 100.0)
    );
}

/// For a platform that starts while the agent runs, its start duration, its session and a trace are
/// reported. A platform that was already running has no start. A restarted agent produces the same
/// trace id.
#[test]
fn platform_session_gets_trace() {
    let started = at(100).wall.as_second().cast_unsigned();
    let platform = Platform { pid: 9816, started };
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    assert_eq!(aggregate.update_platforms(at(0), &[], &[]), []);
    assert_eq!(aggregate.update_platforms(at(102), &[platform], &[]), []);
    assert_eq!(
        aggregate.update_platforms(at(107), &[platform], &[9816]),
        [Completed::PlatformStart(Duration::from_secs(7))]
    );
    let _open = aggregate.add_interval(&active("orders", 110, 30));
    let _ended = aggregate.end_focus();
    let started = (at(108), Duration::from_secs(50));
    let _ = aggregate.apply_changes(
        &at(158),
        vec![Change::Ended { owner: Owner::Window(1), app: "orders".into(), started: Some(started) }],
        &BTreeMap::new(),
    );
    assert_eq!(aggregate.update_platforms(at(160), &[], &[]), [Completed::PlatformSession(Duration::from_mins(1))]);
    assert_eq!((aggregate.platform_starts, aggregate.update_platforms(at(161), &[], &[])), (1, Vec::new()));
    let spans = aggregate.take_spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["focus", "app session", "platform session"]);
    let root = &spans[2];
    assert!(spans[..2].iter().all(|span| span.parent_span_id == root.span_id && span.trace_id == root.trace_id));
    assert_eq!(root.end_time_unix_nano - root.start_time_unix_nano, 60_000_000_000);

    let mut restarted = UsageAggregate::new("s", Usage::default());
    assert_eq!(restarted.update_platforms(at(130), &[platform], &[9816]), []);
    assert_eq!(restarted.platform_starts, 0);
    let _ended = restarted.update_platforms(at(160), &[], &[]);
    assert_eq!((&restarted.take_spans()[0].trace_id, restarted.spans.len()), (&root.trace_id, 0));
}

/// The number of spans of a session is limited, and the root span reports how many are missing.
#[test]
fn trace_spans_are_limited() {
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

fn ended(app: &str, started: Option<(ClockReading, Duration)>) -> Change {
    Change::Ended { owner: Owner::Window(1), app: app.into(), started }
}

/// Guarantees: a gap shorter than the tolerance for clock changes, in either direction, does not
/// end a focus period.
#[test]
fn focus_period_with_small_clock_change_continues() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    assert_eq!(aggregate.add_interval(&active("a", 0, 5)), []);
    let later = Interval { from: at(5).wall + SignedDuration::from_millis(1999), ..active("a", 0, 5) };
    assert_eq!(aggregate.add_interval(&later), []);
    let earlier = Interval { from: at(10).wall - SignedDuration::from_millis(1999), ..active("a", 0, 5) };
    assert_eq!(aggregate.add_interval(&earlier), []);
    assert_eq!(aggregate.end_focus(), Some(Completed::Focus("a".into(), Duration::from_secs(15))));
    assert_eq!(aggregate.end_focus(), None);
}

/// Guarantees: a gap as long as the tolerance ends a focus period.
#[test]
fn focus_period_with_clock_jump_ends() {
    for jump in [SignedDuration::from_secs(2), SignedDuration::from_secs(-2)] {
        let mut aggregate = UsageAggregate::new("s", Usage::default());
        assert_eq!(aggregate.add_interval(&active("a", 0, 5)), []);
        let after = Interval { from: at(5).wall + jump, ..active("a", 0, 5) };
        assert_eq!(aggregate.add_interval(&after), [Completed::Focus("a".into(), Duration::from_secs(5))]);
    }
}

/// Guarantees: time of one state and app is summed, not replaced, also in the daily history.
#[test]
fn intervals_of_one_day_add_up() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    for (app, from) in [("a", 0), ("b", 5), ("a", 10), ("b", 15)] {
        let _ = aggregate.add_interval(&active(app, from, 5));
    }
    assert_eq!(aggregate.states[&SessionState::Active], Duration::from_secs(20));
    assert_eq!(aggregate.states[&SessionState::Locked], Duration::ZERO);
    assert_eq!((aggregate.apps["a"].focus, aggregate.apps["a"].switches), (Duration::from_secs(10), 1));
    assert_eq!((aggregate.apps["b"].focus, aggregate.apps["b"].switches), (Duration::from_secs(10), 2));
    let day = aggregate.usage.days.values().next().unwrap();
    assert_eq!(day.states[&SessionState::Active].to_bits(), 20.0_f64.to_bits());
    assert_eq!((day.apps["a"].focus_seconds, day.apps["a"].switches), (10.0, 1));
    assert_eq!((day.apps["b"].focus_seconds, day.apps["b"].switches), (10.0, 2));
}

/// Guarantees: starts are counted for the agent's life and for the day, and the number of running
/// instances is the latest.
#[test]
fn instances_are_counted() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let started = |app: &str| Change::Started(app.into());
    let running = |counts: &[(&str, u64)]| counts.iter().map(|(app, count)| (AppName::from(*app), *count)).collect();
    let changes = vec![started("a"), started("a"), started("b")];
    assert_eq!(aggregate.apply_changes(&at(0), changes, &running(&[("a", 2), ("b", 1)])), []);
    assert_eq!((aggregate.apps["a"].starts, aggregate.apps["a"].running), (2, 2));
    assert_eq!((aggregate.apps["b"].starts, aggregate.apps["b"].running), (1, 1));
    let day = aggregate.usage.days.values().next().unwrap();
    assert_eq!((day.apps["a"].starts, day.apps["b"].starts), (2, 1));

    let length = Duration::from_secs(7);
    let changes = vec![ended("b", Some((at(1), length))), ended("a", None)];
    assert_eq!(
        aggregate.apply_changes(&at(8), changes, &running(&[("a", 1)])),
        [Completed::AppSession("b".into(), length)]
    );
    assert_eq!((aggregate.apps["a"].running, aggregate.apps["b"].running), (1, 0));
    assert_eq!((aggregate.apps["a"].starts, aggregate.apps["b"].starts), (2, 1));
}

/// Guarantees: crashes and hangs are counted for their app alone.
#[test]
fn crashes_and_hangs_are_counted() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let (a, b) = (AppName::from("a"), AppName::from("b"));
    for _ in 0..2 {
        aggregate.count_crash(&a);
    }
    for _ in 0..3 {
        aggregate.count_hang(&b);
    }
    assert_eq!((aggregate.apps["a"].crashes, aggregate.apps["a"].hangs), (2, 0));
    assert_eq!((aggregate.apps["b"].crashes, aggregate.apps["b"].hangs), (0, 3));
}

/// Guarantees: programs that are not apps of the platform have a focus time and no span.
#[test]
fn focus_of_other_program_has_no_span() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let _ = aggregate.update_platforms(at(0), &[platform(1, 0)], &[]);
    let _ = aggregate.add_interval(&active(OTHER, 0, 5));
    assert_eq!(aggregate.end_focus(), Some(Completed::Focus(OTHER.into(), Duration::from_secs(5))));
    assert_eq!(aggregate.take_spans(), []);
    let _ = aggregate.add_interval(&active("a", 5, 5));
    let _ = aggregate.end_focus();
    assert_eq!(aggregate.take_spans().len(), 1);
}

/// Guarantees: an app session that ends after its platform belongs to the trace of that platform.
#[test]
fn app_session_after_platform_belongs_to_its_trace() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let _ = aggregate.update_platforms(at(0), &[platform(1, 0)], &[]);
    let _ = aggregate.update_platforms(at(60), &[], &[]);
    let started = Some((at(10), Duration::from_secs(51)));
    let _ = aggregate.apply_changes(&at(61), vec![ended("a", started)], &BTreeMap::new());
    let spans = aggregate.take_spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["platform session", "app session"]);
    assert_eq!(spans[0].trace_id, spans[1].trace_id);
}

/// Guarantees: the length of a platform session includes the time before it was first seen.
#[test]
fn platform_session_starts_before_it_was_seen() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let _ = aggregate.update_platforms(at(300), &[platform(1, 100)], &[]);
    assert_eq!(aggregate.update_platforms(at(400), &[], &[]), [Completed::PlatformSession(Duration::from_mins(5))]);
    let span = &aggregate.take_spans()[0];
    assert_eq!(i128::from(span.start_time_unix_nano), at(100).wall.as_nanosecond());
    assert_eq!(i128::from(span.end_time_unix_nano), at(400).wall.as_nanosecond());
}

/// Guarantees: only a platform that is younger than two minutes when it is first seen counts as
/// started, and not one that ran before the agent.
#[test]
fn platform_start_counts_only_when_fresh() {
    for (age, starts) in [(119, 1), (120, 0)] {
        let mut aggregate = UsageAggregate::new("s", Usage::default());
        assert_eq!(aggregate.update_platforms(at(0), &[], &[]), []);
        let present = [platform(1, 200 - age)];
        let completed = aggregate.update_platforms(at(200), &present, &[1]);
        assert_eq!(completed.len() as u64, starts, "{age} s");
        assert_eq!(aggregate.platform_starts, starts, "{age} s");
    }
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    assert_eq!(aggregate.update_platforms(at(200), &[platform(1, 199)], &[1]), []);
    assert_eq!(aggregate.platform_starts, 0);
}

/// Guarantees: a platform is started once its own window is there, and only once.
#[test]
fn platform_start_is_reported_once_with_its_own_window() {
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    let (first, second) = (platform(1, 10), platform(2, 20));
    let _ = aggregate.update_platforms(at(0), &[], &[]);
    assert_eq!(aggregate.update_platforms(at(11), &[first], &[2]), []);
    assert_eq!(
        aggregate.update_platforms(at(22), &[first, second], &[2]),
        [Completed::PlatformStart(Duration::from_secs(2))]
    );
    assert_eq!(
        aggregate.update_platforms(at(23), &[first, second], &[1, 2]),
        [Completed::PlatformStart(Duration::from_secs(13))]
    );
    assert_eq!(aggregate.update_platforms(at(24), &[first, second], &[1, 2]), []);
    assert_eq!(aggregate.platform_starts, 2);
    assert_eq!(
        aggregate.update_platforms(at(30), &[second], &[]),
        [Completed::PlatformSession(Duration::from_secs(20))]
    );
}

/// Guarantees: returned spans come first again, and spans above the maximum are dropped.
#[test]
fn returned_spans_come_first_and_are_limited() {
    let span = |name: &str| Span { name: name.to_owned(), ..Span::default() };
    let mut aggregate = UsageAggregate::new("s", Usage::default());
    aggregate.spans = vec![span("new")];
    aggregate.return_spans(vec![span("old"), span("older")]);
    let names: Vec<_> = aggregate.take_spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["old", "older", "new"]);
    assert_eq!(aggregate.take_spans(), []);

    aggregate.spans = vec![span("new")];
    aggregate.return_spans(vec![span("old"); MAX_PENDING_SPANS + 5]);
    assert_eq!(aggregate.spans.len(), MAX_PENDING_SPANS);
    assert_eq!(aggregate.spans[MAX_PENDING_SPANS - 1].name, "new");
    aggregate.return_spans(vec![span("more")]);
    assert_eq!(aggregate.spans.len(), MAX_PENDING_SPANS);
}
