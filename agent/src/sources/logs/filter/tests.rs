//! Scenario: log files under various filter settings.
//!
//! Guarantees: filters, sampling and the rate limit drop exactly the records that the settings say.

use super::*;
use crate::sources::logs::framing::{End, Framer};
use crate::sources::logs::layout::Layout;

const SECOND: u64 = 1_000_000_000;

fn settings(json: serde_json::Value) -> LogSettings {
    serde_json::from_value(json).unwrap()
}

/// Returns one character per record of a file: `+` if it is sent, otherwise the first letter of the
/// reason why it is dropped.
fn fates(name: &str, settings: &LogSettings, file: &str) -> String {
    let (mut filters, mut filter_state) = (Filters::for_file(name, settings), FilterState::default());
    let layout = Layout::for_file(name, &[]);
    Framer::new(file.as_bytes(), &layout, false, false, End::Closed)
        .map(|record| match filters.drop_reason(&record, 0, &mut filter_state) {
            None => '+',
            Some(LogCounter::Filtered) => 'f',
            Some(LogCounter::Sampled) => 's',
            Some(LogCounter::RateLimited) => 'r',
            Some(other) => panic!("{other:?} is not a drop reason"),
        })
        .collect()
}

fn line(level: &str, category: &str, message: &str) -> String {
    format!("[2026-11-23T08:18:10.936] [{level}] {category} - {message}\n")
}

#[test]
fn no_filters_send_everything() {
    let file = line("TRACE", "a", "x").repeat(5000) + "no header\n";
    assert!(fates("application.log", &LogSettings::default(), &file).chars().all(|fate| fate == '+'));
}

/// Settings: `logs.filters`, `logs.filters[].files`, `logs.filters[].below`,
/// `logs.filters[].category`, `logs.filters[].pattern`, `logs.filters[].keep_one_in`.
#[test]
fn all_conditions_apply_and_first_matching_filter_decides() {
    let settings = settings(serde_json::json!({ "filters": [
        { "category": "*.keep", "keep_one_in": 1 },
        { "below": "info" },
        { "files": "gw*.log", "pattern": "^ping" },
        { "category": "chatty.*", "pattern": "noise" },
    ]}));
    let file = [
        line("DEBUG", "a", "x"),
        line("DEBUG", "a.keep", "x"),
        line("INFO", "a", "ping"),
        line("INFO", "chatty.a", "some noise"),
        line("INFO", "chatty.a", "some sense"),
        line("ODD", "a", "a level that is not known"),
    ];
    assert_eq!(fates("application.log", &settings, &file.concat()), "f++f++");
    assert_eq!(fates("gw1.log", &settings, &file.concat()), "f+ff++");
}

#[test]
fn keep_one_in_n_sends_every_nth_record() {
    let settings = settings(serde_json::json!({ "filters": [{ "category": "chatty", "keep_one_in": 3 }] }));
    let file = line("INFO", "chatty", "x").repeat(7) + &line("INFO", "other", "x");
    assert_eq!(fates("application.log", &settings, &file), "+ss+ss++");
}

/// Lines that came late are sent if and only if their record was sent.
#[test]
fn continuation_lines_share_decision_of_their_record() {
    let settings = settings(serde_json::json!({ "filters": [{ "below": "warn" }] }));
    let (mut filters, mut filter_state) = (Filters::for_file("a.log", &settings), FilterState::default());
    let layout = Layout::for_file("a.log", &[]);
    let mut fate = |text: &str| {
        let record = Framer::new(text.as_bytes(), &layout, true, false, End::Closed).next().unwrap();
        filters.drop_reason(&record, 0, &mut filter_state)
    };
    assert_eq!(fate(&line("INFO", "a", "x")), Some(LogCounter::Filtered));
    assert_eq!(fate("  late\n"), Some(LogCounter::Filtered));
    assert_eq!(fate(&line("ERROR", "a", "x")), None);
    assert_eq!(fate("  late\n"), None);
}

/// The limit counts seconds of the file's own time: a backlog that is read at once is not cut.
///
/// Settings: `logs.max_records_per_second`.
#[test]
fn runaway_logger_is_rate_limited() {
    let settings = settings(serde_json::json!({ "max_records_per_second": 3 }));
    let (mut filters, mut filter_state) = (Filters::for_file("a.log", &settings), FilterState::default());
    let layout = Layout::for_file("a.log", &[]);
    let text = line("INFO", "a", "x");
    let record = Framer::new(text.as_bytes(), &layout, false, false, End::Closed).next().unwrap();
    let mut sent_of = |second: u64, records: usize| {
        (0..records).filter(|_| filters.drop_reason(&record, second * SECOND, &mut filter_state).is_none()).count()
    };
    assert_eq!([sent_of(1, 10), sent_of(2, 2), sent_of(3, 4)], [3, 2, 3]);
}
