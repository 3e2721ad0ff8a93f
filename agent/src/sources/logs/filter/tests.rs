//! What is sent under which filters.

use super::*;
use crate::sources::logs::framing::{End, Framer};
use crate::sources::logs::layout::Layout;

const SECOND: u64 = 1_000_000_000;

fn settings(json: serde_json::Value) -> LogSettings {
    serde_json::from_value(json).unwrap()
}

/// What becomes of each record of a file: `+`, or the first letter of the reason why it is not sent.
fn fates(name: &str, settings: &LogSettings, file: &str) -> String {
    let (mut filters, mut memory) = (Filters::for_file(name, settings), Memory::default());
    let layout = Layout::for_file(name, &[]);
    Framer::new(file.as_bytes(), &layout, false, false, End::Closed)
        .map(|record| match filters.leave_out(&record, 0, &mut memory) {
            None => '+',
            Some(LogCounter::Filtered) => 'f',
            Some(LogCounter::Sampled) => 's',
            Some(LogCounter::RateLimited) => 'r',
            Some(other) => panic!("{other:?} is no reason"),
        })
        .collect()
}

fn line(level: &str, category: &str, message: &str) -> String {
    format!("[2026-11-23T08:18:10.936] [{level}] {category} - {message}\n")
}

#[test]
fn without_filters_everything_is_sent() {
    let file = line("TRACE", "a", "x").repeat(5000) + "no header\n";
    assert!(fates("application.log", &LogSettings::default(), &file).chars().all(|fate| fate == '+'));
}

/// Settings: `logs.filters`, `logs.filters[].files`, `logs.filters[].below`,
/// `logs.filters[].category`, `logs.filters[].pattern`, `logs.filters[].keep_one_in`.
#[test]
fn each_condition_counts_and_the_first_filter_decides() {
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
fn one_of_some_is_sent() {
    let settings = settings(serde_json::json!({ "filters": [{ "category": "chatty", "keep_one_in": 3 }] }));
    let file = line("INFO", "chatty", "x").repeat(7) + &line("INFO", "other", "x");
    assert_eq!(fates("application.log", &settings, &file), "+ss+ss++");
}

/// Lines that came late are sent if and only if the record that they belong to was.
#[test]
fn continuations_share_the_fate_of_their_record() {
    let settings = settings(serde_json::json!({ "filters": [{ "below": "warn" }] }));
    let (mut filters, mut memory) = (Filters::for_file("a.log", &settings), Memory::default());
    let layout = Layout::for_file("a.log", &[]);
    let mut fate = |text: &str| {
        let record = Framer::new(text.as_bytes(), &layout, true, false, End::Closed).next().unwrap();
        filters.leave_out(&record, 0, &mut memory)
    };
    assert_eq!(fate(&line("INFO", "a", "x")), Some(LogCounter::Filtered));
    assert_eq!(fate("  late\n"), Some(LogCounter::Filtered));
    assert_eq!(fate(&line("ERROR", "a", "x")), None);
    assert_eq!(fate("  late\n"), None);
}

/// The limit is one of the file's own time: a backlog that is read at once is not cut.
///
/// Settings: `logs.max_records_per_second`.
#[test]
fn a_logger_that_runs_wild_is_limited() {
    let settings = settings(serde_json::json!({ "max_records_per_second": 3 }));
    let (mut filters, mut memory) = (Filters::for_file("a.log", &settings), Memory::default());
    let layout = Layout::for_file("a.log", &[]);
    let text = line("INFO", "a", "x");
    let record = Framer::new(text.as_bytes(), &layout, false, false, End::Closed).next().unwrap();
    let mut sent_of = |second: u64, records: usize| {
        (0..records).filter(|_| filters.leave_out(&record, second * SECOND, &mut memory).is_none()).count()
    };
    assert_eq!([sent_of(1, 10), sent_of(2, 2), sent_of(3, 4)], [3, 2, 3]);
}
