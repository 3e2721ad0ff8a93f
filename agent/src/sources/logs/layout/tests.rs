//! Scenario: headers in every layout, and lines that only look like one.
//!
//! Guarantees: each header is parsed into the expected fields, and no line is mistaken for one.

use super::*;
use jiff::civil::{DateTime, date};
use jiff::tz::Offset;
use proptest::prelude::*;

/// Formats a header: time, level, category, instance, thread, message; `-` for missing fields.
fn read(layout: &Layout, line: &str) -> String {
    let Some(header) = layout.header(line.as_bytes()) else { return "no header".to_owned() };
    let text = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
    let time = header.time.map_or("-".to_owned(), |time| match time.offset {
        Some(offset) => format!("{}{offset}", time.civil),
        None => time.civil.to_string(),
    });
    let level =
        header.level.map_or("-".to_owned(), |level| format!("{}={}", text(Some(level.text)), level.severity as i32));
    let (category, instance, thread) = (text(header.category), text(header.instance), text(header.thread));
    format!("{time} | {level} | {category} | {instance} | {thread} | {}", &line[header.message_start..])
}

fn built_in(line: &str) -> String {
    read(&Layout::for_file("application.log", &[]), line)
}

#[test]
fn io_connect_layouts_are_parsed() {
    for (line, expected) in [
        ("[2026-11-23T08:18:10.936] [INFO] default - msg", "2026-11-23T08:18:10.936 | INFO=9 | default | - | - | msg"),
        (
            "[2026-11-23T08:18:10.937] [INFO] [9816_10] clientlist.main - app says hello",
            "2026-11-23T08:18:10.937 | INFO=9 | clientlist.main | 9816_10 | - | app says hello",
        ),
        (
            "[2020-03-11T14:27:58.087] [ERROR] [30760_11] [client-list.test-logger] - test-error",
            "2020-03-11T14:27:58.087 | ERROR=17 | client-list.test-logger | 30760_11 | - | test-error",
        ),
        (
            "[2026-11-23 08:18:10,936] [WARN] [12] [bridge] - x",
            "2026-11-23T08:18:10.936 | WARN=13 | bridge | - | 12 | x",
        ),
        (
            "2026-11-23 08:18:10,936 [12] INFO  Category - msg",
            "2026-11-23T08:18:10.936 | INFO=9 | Category | - | 12 | msg",
        ),
        (
            "2026-11-23 08:18:10,936 [.NET TP Worker] DEBUG A.B [(null)] - msg",
            "2026-11-23T08:18:10.936 | DEBUG=5 | A.B | - | .NET TP Worker | msg",
        ),
    ] {
        assert_eq!(built_in(line), expected, "{line}");
    }
}

#[test]
fn missing_fields_are_empty_and_unknown_text_stays_in_message() {
    for (line, expected) in [
        ("\u{FEFF}[2026-11-23T08:18:10] [INFO] a - b", "2026-11-23T08:18:10 | INFO=9 | a | - | - | b"),
        ("[2026-11-23T08:18:10.936] [INFO] default - ", "2026-11-23T08:18:10.936 | INFO=9 | default | - | - | "),
        ("[2026-11-23T08:18:10.936] [INFO] default -", "2026-11-23T08:18:10.936 | INFO=9 | default | - | - | "),
        ("[2026-11-23T08:18:10.936]", "2026-11-23T08:18:10.936 | - | - | - | - | "),
        ("[2026-11-23T08:18:10.936] Error: a - b", "2026-11-23T08:18:10.936 | - | - | - | - | Error: a - b"),
        (
            "[2026-11-23T08:18:10.936] [INFO] two words - b",
            "2026-11-23T08:18:10.936 | INFO=9 | - | - | - | two words - b",
        ),
        ("[2026-11-23T08:18:10.936] [INFO] a - [b] - c", "2026-11-23T08:18:10.936 | INFO=9 | a | - | - | [b] - c"),
        ("[2026-11-23T08:18:10.936] [INFO] a -  indented", "2026-11-23T08:18:10.936 | INFO=9 | a | - | - |  indented"),
        ("[2026-11-23T08:18:10.936] [INFO] [] a.b - c", "2026-11-23T08:18:10.936 | INFO=9 | a.b | - | - | c"),
        ("[2026-11-23T08:18:10.936] [INFO] [9816_10]  - c", "2026-11-23T08:18:10.936 | INFO=9 | - | 9816_10 | - | c"),
        (
            "[2026-11-23T08:18:10.936] [INFO] [9816_10] Client List.main - c - d",
            "2026-11-23T08:18:10.936 | INFO=9 | Client List.main | 9816_10 | - | c - d",
        ),
        ("[2026-11-23T08:18:10.936] [AUDIT] a - b", "2026-11-23T08:18:10.936 | AUDIT=0 | a | - | - | b"),
        ("[2026-11-23T08:18:10.936] [main] - b", "2026-11-23T08:18:10.936 | - | main | - | - | b"),
        (
            "[2026-11-23T08:18:10.936] [INFO] [unclosed - b",
            "2026-11-23T08:18:10.936 | INFO=9 | - | - | - | [unclosed - b",
        ),
    ] {
        assert_eq!(built_in(line), expected, "{line}");
    }
}

#[test]
fn zone_after_time_is_used() {
    for (line, expected) in [
        ("[2026-11-23T08:18:10.936Z] [INFO] a - b", "2026-11-23T08:18:10.936+00 | INFO=9 | a | - | - | b"),
        ("[2026-11-23T08:18:10.936+01:00] [INFO] a - b", "2026-11-23T08:18:10.936+01 | INFO=9 | a | - | - | b"),
        ("[2026-11-23T08:18:10-0330] [INFO] a - b", "2026-11-23T08:18:10-03:30 | INFO=9 | a | - | - | b"),
    ] {
        assert_eq!(built_in(line), expected, "{line}");
    }
}

#[test]
fn header_lookalike_is_not_a_header() {
    for line in [
        "",
        "[",
        "    at Object.<anonymous> (/opt/connect/logrun/run.js:13:143)",
        "[INFO] default - msg",
        "[2026-13-23T08:18:10.936] [INFO] month 13 - msg",
        "[2026-02-29T08:18:10.936] [INFO] no leap year - msg",
        "[2026-11-23T24:18:10.936] [INFO] hour 24 - msg",
        "[2026-11-23T08:18:60.936] [INFO] second 60 - msg",
        "[2026-11-23T08:18:10.936+25:99] [INFO] zone - msg",
        "[2026-11-23T08:18:10.] [INFO] no fraction - msg",
        "[2026-11-23T08:18:10.1234567890] [INFO] ten digits - msg",
        "[2026-11-23T08:18:10.936 [INFO] unclosed - msg",
        "[2026-11-23] [INFO] no time - msg",
        "2026-11-23 08:18:10 a row of a table without level",
        "2026-11-23 08:18:10 error in small letters",
        " [2026-11-23T08:18:10.936] [INFO] indented - msg",
    ] {
        assert_eq!(built_in(line), "no header", "{line}");
    }
}

#[test]
fn level_words_map_to_numbers_in_any_letter_case() {
    let known = |word: &str| Level::known(word.as_bytes()).map(|level| level.severity as i32);
    let words =
        ["TRACE", "debug", "Info", "MARK", "WARN", "warning", "ERROR", "FATAL", "Critical", "OFF", "", "INFORMATIONAL"];
    assert_eq!(
        words.map(known),
        [Some(1), Some(5), Some(9), Some(10), Some(13), Some(13), Some(17), Some(21), Some(21), None, None, None]
    );
}

fn custom(files: &str, pattern: &str, time_format: &str) -> LayoutSettings {
    LayoutSettings { files: files.into(), pattern: pattern.parse().unwrap(), time_format: time_format.into() }
}

/// Settings: `logs.layouts`, `logs.layouts[].files`, `logs.layouts[].pattern`,
/// `logs.layouts[].time_format`.
#[test]
fn custom_layout_precedes_built_in_one_for_its_files_only() {
    let layouts =
        [custom("my*.log", r"^(?<level>\w+)\|(?<time>[^|]*)\|(?<thread>\d*)\|(?<message>.*)$", "%d/%m/%Y %H:%M:%S%.f")];
    let mine = Layout::for_file("MyApp.log", &layouts);
    assert_eq!(
        read(&mine, "warn|23/11/2026 08:18:10.5|7|text|more"),
        "2026-11-23T08:18:10.5 | warn=13 | - | - | 7 | text|more"
    );
    assert_eq!(read(&mine, "AUDIT|not a time||text"), "- | AUDIT=0 | - | - | - | text");
    assert_eq!(read(&mine, "[2026-11-23T08:18:10] [INFO] a - b"), "2026-11-23T08:18:10 | INFO=9 | a | - | - | b");
    assert_eq!(mine.header(b"warn|23/11/2026 08:18:10.5|7|bad \xFF byte").map(|header| header.message_start), Some(29));
    let other = Layout::for_file("other.log", &layouts);
    assert_eq!(read(&other, "warn|23/11/2026 08:18:10.5|7|text"), "no header");
}

#[test]
fn zone_in_custom_time_is_used() {
    let layouts = [custom("*", r"^(?<time>\S+) (?<message>.*)", "%Y%m%dT%H%M%S%z")];
    let header = "20261123T081810+0100 text";
    assert_eq!(read(&Layout::for_file("x", &layouts), header), "2026-11-23T08:18:10+01 | - | - | - | - | text");
}

proptest! {
    /// Every valid time is parsed, in every notation.
    #[test]
    fn every_valid_time_is_parsed(
        (year, month, day) in (0..=9999_i16, 1..=12_i8, 1..=28_i8),
        (hour, minute, second) in (0..24_i8, 0..60_i8, 0..60_i8),
        fraction in "([.,][0-9]{1,9})?",
        (letter, zone) in (prop::sample::select(vec!['T', ' ']), prop::option::of(-93_599..=93_599_i32)),
    ) {
        let minutes = zone.map(|seconds| seconds / 60);
        let suffix = minutes.map_or(String::new(), |minutes| {
            format!("{}{:02}:{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60)
        });
        let line = format!(
            "[{year:04}-{month:02}-{day:02}{letter}{hour:02}:{minute:02}:{second:02}{fraction}{suffix}] [INFO] a - b"
        );
        let nanos = format!("{:0<9}", fraction.get(1..).unwrap_or("")).parse().unwrap();
        let civil: DateTime = date(year, month, day).at(hour, minute, second, nanos);
        let offset = minutes.map(|minutes| Offset::from_seconds(minutes * 60).unwrap());
        let layout = Layout::for_file("a.log", &[]);
        prop_assert_eq!(layout.header(line.as_bytes()).and_then(|header| header.time), Some(LocalTime { civil, offset }));
    }

    /// No bytes make the parser panic, and the message is within the line.
    #[test]
    fn header_parser_accepts_any_bytes(
        start in prop::sample::select(vec!["", "[", "[2026-11-23T08:18:10", "[2026-11-23T08:18:10.936] ", "2026-11-23 08:18:10,1 [12] INFO "]),
        rest in prop::collection::vec(prop_oneof![3 => prop::sample::select(b"[] -_.,019ZINFO()\xFF".to_vec()), 1 => any::<u8>()], 0..60),
    ) {
        let line = [start.as_bytes(), &rest].concat();
        if let Some(header) = Layout::for_file("a.log", &[]).header(&line) {
            prop_assert!(header.message_start <= line.len());
        }
    }
}
