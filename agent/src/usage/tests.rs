//! Scenario: the usage history over days and sessions.

use jiff::civil::date;

use super::*;

/// Guarantees: seven days are kept and summed; an eighth removes the oldest; a broken file is an
/// empty history.
#[test]
fn history_of_eight_days_keeps_the_last_seven() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("usage.json");
    assert_eq!(Usage::load(&file), Usage::default());
    let mut usage = Usage::default();
    for day in 1..=8 {
        let day = usage.day(date(2026, 3, day));
        day.apps.entry("orders".to_owned()).or_default().focus_seconds += 10.0;
        *day.states.entry(SessionState::Active).or_default() += 10.0;
    }
    usage.store(&file).unwrap();
    let usage = Usage::load(&file);
    assert_eq!(usage.days.keys().next(), Some(&date(2026, 3, 2)));
    let total = |days| usage.total(date(2026, 3, 8), days).apps["orders"].focus_seconds;
    assert_eq!((total(1), total(7), total(1000)), (10.0, 70.0, 70.0));
    std::fs::write(&file, "{ broken").unwrap();
    assert_eq!(Usage::load(&file), Usage::default());
}

/// Guarantees: the previous session is returned once, with the time when it was last seen.
#[test]
fn new_session_returns_the_previous_one_once() {
    let mut usage = Usage::default();
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(usage.record_session("a", at(1)), None);
    assert_eq!(usage.record_session("a", at(100)), None);
    let before = usage.record_session("b", at(200)).unwrap();
    assert_eq!((before.id.as_str(), before.started_unix_ms, before.seen_unix_ms), ("a", 1_000, 100_000));
    assert_eq!(usage.record_session("b", at(201)), None);
}

/// Guarantees: a history in the format of commit b1cd424 is read, and written again unchanged.
#[test]
fn history_of_earlier_version_is_read_completely() {
    let text = include_str!("../../testdata/data-b1cd424/usage.json");
    let usage: Usage = serde_json::from_str(text).unwrap();
    let day = &usage.days[&date(2026, 11, 27)];
    assert_eq!((day.states.len(), day.apps["orders"].switches), (6, 3));
    let written: serde_json::Value = serde_json::to_value(&usage).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).unwrap());
}
