//! Scenario: captured log files, records at every size limit, and files that are read in arbitrary
//! steps.
//!
//! Guarantees: the records of a file do not depend on how it is read, and no byte is lost.

use std::fmt::Write as _;

use super::*;
use proptest::prelude::*;

/// A record as the reader sees it, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Framed {
    offset: usize,
    length: usize,
    has_header: bool,
    message: Vec<u8>,
    continuation: bool,
    /// Whether it was cut, and whether it was unfinished.
    ends_early: [bool; 2],
}

fn layout() -> Layout {
    Layout::for_file("application.log", &[])
}

/// Reads `file` as the reader does: in steps from its position to the end of what has been written
/// by then, as listed in `ends`.
fn read_in_steps(file: &[u8], ends: &[usize], last: End) -> (Vec<Framed>, usize) {
    let (layout, mut position, mut seen_header, mut all) = (layout(), 0, false, Vec::new());
    let in_line = |position: usize| position.checked_sub(1).is_some_and(|before| is_in_line(file[before]));
    for (step, &written) in ends.iter().chain([&file.len()]).enumerate() {
        let end = if step == ends.len() { last } else { End::MoreMayCome };
        let bytes = &file[position.min(written)..written.max(position)];
        let mut framer = Framer::new(bytes, &layout, seen_header, in_line(position), end);
        let mut taken = 0;
        while let Some(record) = framer.next() {
            all.push(Framed {
                offset: position + record.start,
                length: framer.position() - record.start,
                has_header: record.header.is_some(),
                message: record.message.to_vec(),
                continuation: record.continuation,
                ends_early: [record.cut, record.unfinished],
            });
            assert!(framer.position() > taken, "a record takes at least one byte");
            taken = framer.position();
        }
        position += framer.position();
        seen_header = framer.seen_header();
    }
    (all, position)
}

fn read(file: &[u8]) -> Vec<Framed> {
    read_in_steps(file, &[], End::Closed).0
}

fn messages(records: &[Framed]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.message).unwrap()).collect()
}

/// Describes every record of a captured file, for a snapshot.
fn describe(file: &[u8]) -> String {
    let (layout, mut out) = (layout(), String::new());
    let mut framer = Framer::new(file, &layout, false, false, End::Closed);
    while let Some(record) = framer.next() {
        let header = record.header.unwrap();
        let text =
            |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let (time, level) = (header.time.unwrap().civil, header.level.unwrap());
        let (category, instance) = (text(header.category), text(header.instance));
        let _ =
            writeln!(out, "{}..{} {time} {:?} {category} {instance}", record.start, framer.position(), level.severity);
        for line in text(Some(record.message)).split('\n') {
            let _ = writeln!(out, "  |{line}|");
        }
    }
    assert_eq!(framer.position(), file.len());
    out
}

const APPLICATION_LOG: &[u8] =
    include_bytes!("../../../../testdata/logs/UserData/DEMO-INTEROP.IO/logs/application.log");
const APP_LOG: &[u8] =
    include_bytes!("../../../../testdata/logs/UserData/DEMO-INTEROP.IO/logs/applications/clientlist.log");

#[test]
fn captured_platform_log_yields_expected_records() {
    insta::assert_snapshot!(describe(APPLICATION_LOG), @"
    0..58 2026-11-23T08:18:10.935 Trace glue-logger -
      |trace msg|
    58..112 2026-11-23T08:18:10.936 Debug default -
      |debug msg|
    112..181 2026-11-23T08:18:10.936 Info default -
      |info msg { a: 1, b: 'x' }|
    181..267 2026-11-23T08:18:10.936 Warn default -
      |warn with unicode: Ünïcode — 日本語|
    267..798 2026-11-23T08:18:10.936 Error default -
      |error msg Error: boom|
      |    at Object.<anonymous> (/opt/connect/logrun/run.js:13:143)|
      |    at Module._compile (node:internal/modules/cjs/loader:1521:14)|
      |    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)|
      |    at Module.load (node:internal/modules/cjs/loader:1266:32)|
      |    at Module._load (node:internal/modules/cjs/loader:1091:12)|
      |    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)|
      |    at node:internal/main/run_main_module:28:49|
    798..848 2026-11-23T08:18:10.936 Fatal default -
      |fatal|
    848..1386 2026-11-23T08:18:10.937 Error default -
      |TypeError: only error object|
      |    at Object.<anonymous> (/opt/connect/logrun/run.js:13:189)|
      |    at Module._compile (node:internal/modules/cjs/loader:1521:14)|
      |    at Module._extensions..js (node:internal/modules/cjs/loader:1623:10)|
      |    at Module.load (node:internal/modules/cjs/loader:1266:32)|
      |    at Module._load (node:internal/modules/cjs/loader:1091:12)|
      |    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)|
      |    at node:internal/main/run_main_module:28:49|
    1386..1448 2026-11-23T08:18:10.937 Info default -
      |multi|
      |line|
      |message|
    ");
}

#[test]
fn captured_app_log_yields_expected_records() {
    insta::assert_snapshot!(describe(APP_LOG), @"
    0..76 2026-11-23T08:18:10.937 Info clientlist.main 9816_10
      |app says hello|
    76..161 2026-11-23T08:18:10.937 Error clientlist.main 9816_10
      |app error|
      |stack line 2|
    ");
}

#[test]
fn crlf_yields_same_records_as_lf() {
    let crlf = String::from_utf8(APPLICATION_LOG.to_vec()).unwrap().replace('\n', "\r\n");
    let unified =
        |record: Framed| (String::from_utf8(record.message).unwrap().replace("\r\n", "\n"), record.has_header);
    let with_crlf: Vec<_> = read(crlf.as_bytes()).into_iter().map(unified).collect();
    let with_lf: Vec<_> = read(APPLICATION_LOG).into_iter().map(unified).collect();
    assert_eq!(with_crlf, with_lf);
    assert!(with_crlf.iter().all(|(message, _)| !message.contains('\r')));
}

#[test]
fn headerless_file_yields_record_per_nonblank_line() {
    let records = read(b"one\n\n\r\ntwo\r\n  three");
    assert_eq!(messages(&records), ["one", "two", "  three"]);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 7, 12]);
    assert!(records.iter().all(|record| !record.has_header && !record.continuation));
}

const HEADER: &str = "[2026-11-23T08:18:10.936] [INFO] a - ";

#[test]
fn lines_before_first_header_are_records_and_later_lines_belong_to_it() {
    let records = read(format!("plain\ntext\n{HEADER}b\n\nline\n{HEADER}c\n").as_bytes());
    assert_eq!(messages(&records), ["plain", "text", "b\n\nline", "c"]);
    assert!(records.iter().all(|record| !record.continuation));
}

#[test]
fn record_is_complete_at_next_header_or_silence() {
    let (layout, file) = (layout(), format!("{HEADER}b\nmore\n{HEADER}unfin"));
    let waiting = |bytes: &str, end| Framer::new(bytes.as_bytes(), &layout, false, false, end).count();
    assert_eq!(waiting(&file[..file.len() - 6], End::MoreMayCome), 0, "an incomplete header is not classified");
    assert_eq!(waiting(&file, End::MoreMayCome), 0, "an unfinished line is not classified");
    assert_eq!(waiting(&file, End::Idle), 1, "after silence complete lines are final, the unfinished one waits");
    assert_eq!(waiting(&file, End::Closed), 2);
    assert_eq!(waiting(&format!("{file}ished\n"), End::MoreMayCome), 1);
    assert_eq!(waiting("unfinished plain text", End::Idle), 0);
    assert_eq!(waiting("", End::Closed), 0);
}

/// A last line that is never finished is taken after a long silence, up to its last complete
/// character, and marked. The bytes after it continue its line, even if they look like a header.
#[test]
fn unfinished_line_is_taken_when_stalled_and_continued() {
    let (layout, file) = (layout(), format!("{HEADER}caf\u{e9}{HEADER}rest\n{HEADER}next\n"));
    let written = HEADER.len() + "caf".len() + 1;
    let mut framer = Framer::new(&file.as_bytes()[..written], &layout, false, false, End::Stalled);
    let record = framer.next().unwrap();
    assert_eq!((record.message, record.unfinished, record.cut), (b"caf".as_slice(), true, false));
    assert_eq!((framer.next(), framer.position()), (None, written - 1));
    let mut framer = Framer::new(&file.as_bytes()[written - 1..], &layout, true, true, End::Closed);
    let rest = framer.next().unwrap();
    assert_eq!(std::str::from_utf8(rest.message).unwrap(), format!("\u{e9}{HEADER}rest"));
    assert_eq!((rest.continuation, rest.unfinished, rest.header), (true, false, None));
    assert_eq!(framer.next().unwrap().message, b"next");
}

/// A file that was truncated while its writer had it open begins with as many zero bytes as it was
/// long. The bytes after them are read as if the zero bytes were not there.
#[test]
fn zero_bytes_between_records_are_skipped() {
    let zeros = "\0".repeat(3 * MAX_RECORD_BYTES);
    let records = read(format!("{zeros}{HEADER}a\n{zeros}{HEADER}b\n{zeros}").as_bytes());
    assert_eq!(messages(&records), ["a", "b"]);
    assert!(records.iter().all(|record| record.has_header && !record.ends_early[0] && !record.continuation));
}

#[test]
fn lines_after_silence_form_one_continuation() {
    let (layout, file) = (layout(), format!("  at a\n  at b\n\n{HEADER}next\n"));
    let mut framer = Framer::new(file.as_bytes(), &layout, true, false, End::MoreMayCome);
    let record = framer.next().unwrap();
    assert_eq!((record.message, record.continuation, record.header), (b"  at a\n  at b".as_slice(), true, None));
    assert_eq!((framer.next(), framer.position(), framer.seen_header()), (None, 15, true));
}

#[test]
fn overlong_line_is_cut_between_characters() {
    let line = "\u{20AC}".repeat(MAX_RECORD_BYTES / 3 + 10);
    let records = read(format!("{HEADER}{line}\n{HEADER}next\n").as_bytes());
    assert_eq!(messages(&records).concat(), format!("{line}next"));
    let flags: Vec<_> =
        records.iter().map(|record| (record.has_header, record.ends_early[0], record.continuation)).collect();
    assert_eq!(flags, [(true, true, false), (false, false, true), (true, false, false)]);
    assert!((MAX_RECORD_BYTES - 3..=MAX_RECORD_BYTES).contains(&records[0].length));
}

#[test]
fn overlong_record_is_cut_between_lines() {
    let lines = "0123456789abcde\n".repeat(MAX_RECORD_BYTES / 16 + 2);
    let records = read(format!("{HEADER}b\n{lines}").as_bytes());
    assert_eq!(messages(&records).join("\n"), format!("b\n{}", lines.trim_end()));
    assert_eq!(records.iter().map(|record| record.ends_early[0]).collect::<Vec<_>>(), [true, false]);
    assert!((MAX_RECORD_BYTES - 16..=MAX_RECORD_BYTES).contains(&records[0].length));
}

#[test]
fn record_of_maximum_length_is_not_cut() {
    for (extra, cut) in [(0, false), (1, true)] {
        let text = "x".repeat(MAX_RECORD_BYTES - HEADER.len() - 1 + extra);
        let records = read(format!("{HEADER}{text}\n{HEADER}next\n").as_bytes());
        assert_eq!(records[0].ends_early[0], cut);
        assert_eq!(read(format!("{text}{HEADER}\n").as_bytes())[0].ends_early[0], cut, "without a header");
    }
}

#[test]
fn non_text_bytes_are_cut_at_any_byte() {
    let records = read(&vec![0x80; MAX_RECORD_BYTES + 5]);
    assert_eq!(records.iter().map(|record| record.length).collect::<Vec<_>>(), [MAX_RECORD_BYTES, 5]);
}

fn record_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => "[ -~]{0,30}",
        1 => "\\PC{0,10}",
        1 => Just("[2026-13-23T08:18:10.936] [INFO] no - header".to_owned()),
        1 => Just("x".repeat(HEADER_BYTES + 3)),
    ];
    (prop::bool::weighted(0.7), prop::collection::vec(line, 1..4), prop::sample::select(vec!["\n", "\r\n"])).prop_map(
        |(has_header, lines, line_end)| {
            let header = if has_header { HEADER } else { "" };
            format!("{header}{}{line_end}", lines.join(line_end))
        },
    )
}

/// Generates complete records of all kinds, with a huge one now and then.
fn log_file() -> impl Strategy<Value = Vec<u8>> {
    let huge = (
        prop::sample::select(vec!["", HEADER]),
        MAX_RECORD_BYTES - 200..MAX_RECORD_BYTES + 5000,
        "[a-z\u{20AC}\n]{1,40}",
    );
    let huge = huge.prop_map(|(header, length, text)| format!("{header}{}\n", text.repeat(length / text.len())));
    prop::collection::vec(prop_oneof![40 => record_text(), 1 => huge], 0..20).prop_map(|all| all.concat().into_bytes())
}

fn splits(file: &[u8], places: &[prop::sample::Index]) -> Vec<usize> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(file.len() + 1)).collect();
    ends.sort_unstable();
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However a growing file is read, its records equal those of reading it at once.
    #[test]
    fn records_do_not_depend_on_read_steps(
        file in log_file(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let at_once = read_in_steps(&file, &[], End::Closed);
        let in_steps = read_in_steps(&file, &splits(&file, &places), End::Closed);
        prop_assert_eq!(&at_once.0.len(), &in_steps.0.len());
        prop_assert!(at_once == in_steps);
    }

    /// For any bytes: each byte is in one record or in a blank line between two, and none is left.
    #[test]
    fn every_byte_is_in_exactly_one_record(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(prop_oneof![1 => Just(b'\n'), 1 => Just(b'\r'), 4 => any::<u8>()], 0..80),
                Just(HEADER.as_bytes().to_vec()),
                (any::<u8>(), 0..2 * MAX_RECORD_BYTES).prop_map(|(byte, length)| vec![byte; length / 8]),
            ],
            0..20,
        ),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let file = parts.concat();
        for ends in [vec![], splits(&file, &places)] {
            let (records, position) = read_in_steps(&file, &ends, End::Closed);
            prop_assert_eq!(position, file.len());
            let mut taken = 0;
            for record in &records {
                prop_assert!(file[taken..record.offset].iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)));
                prop_assert!(record.length <= MAX_RECORD_BYTES && record.offset >= taken);
                taken = record.offset + record.length;
            }
            prop_assert!(file[taken..].iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
    }

    /// A reader that never has more bytes than the window gets through every file.
    #[test]
    fn window_always_yields_a_record(file in log_file(), repeat in 1..4_usize) {
        let file = file.repeat(repeat);
        let (layout, mut position, mut seen_header, mut count) = (layout(), 0, false, 0);
        while position < file.len() {
            let to = file.len().min(position + WINDOW_BYTES);
            let end = if to == file.len() { End::Closed } else { End::MoreMayCome };
            let in_line = position.checked_sub(1).is_some_and(|before| is_in_line(file[before]));
            let mut framer = Framer::new(&file[position..to], &layout, seen_header, in_line, end);
            count += framer.by_ref().count();
            prop_assert!(framer.position() > 0, "stuck at {} of {}", position, file.len());
            position += framer.position();
            seen_header = framer.seen_header();
        }
        prop_assert_eq!(count, read(&file).len());
    }
}
