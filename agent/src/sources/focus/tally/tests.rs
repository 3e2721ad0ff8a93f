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
