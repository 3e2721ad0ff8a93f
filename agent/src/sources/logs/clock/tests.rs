//! Scenario: the clock compared with jiff, in time zones with all kinds of clock changes.
//!
//! Guarantees: caching and context never give an instant that jiff would not allow.

use super::*;
use jiff::civil::date;
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// Returns jiff's result for a local time, with compatible disambiguation.
fn by_jiff(zone: &TimeZone, civil: DateTime) -> Option<u64> {
    u64::try_from(zone.to_ambiguous_timestamp(civil).compatible().ok()?.as_nanosecond()).ok()
}

/// A context far from every time in these tests, without a previous record.
const LONG_AGO: TimeContext = TimeContext { observed: 0, previous: None };

fn shown(civil: DateTime) -> LocalTime {
    LocalTime { civil, offset: None }
}

#[test]
fn repeated_hour_without_context_is_first_instant() {
    let mut clock = Clock::new(zone("Europe/London"));
    let twice = date(2026, 10, 25).at(1, 30, 0, 0);
    // 00:30Z, still summer time
    assert_eq!(clock.unix_nanos(shown(twice), LONG_AGO), Some(1_792_888_200_000_000_000));
    let once = date(2026, 10, 25).at(2, 0, 0, 0);
    assert_eq!(clock.unix_nanos(shown(once), LONG_AGO), Some(1_792_893_600_000_000_000)); // 02:00Z
}

/// Lines that are read as they are written, and a backlog that is read in order, resolve both
/// occurrences of a repeated hour.
#[test]
fn repeated_hour_is_resolved_by_context() {
    let mut clock = Clock::new(zone("Europe/London"));
    let twice = shown(date(2026, 10, 25).at(1, 30, 0, 0));
    let minute = 60_000_000_000;
    let first = 1_792_888_200_000_000_000;
    let second = first + 60 * minute;
    for instant in [first, second] {
        for previous in [None, Some(first - 90 * minute), Some(first), Some(second)] {
            let context = TimeContext { observed: instant + minute, previous };
            assert_eq!(clock.unix_nanos(twice, context), Some(instant), "just written, after {previous:?}");
        }
    }
    let read_later = |previous| TimeContext { observed: second + 600 * minute, previous };
    assert_eq!(clock.unix_nanos(twice, read_later(None)), Some(first));
    assert_eq!(clock.unix_nanos(twice, read_later(Some(first - minute))), Some(first));
    assert_eq!(clock.unix_nanos(twice, read_later(Some(first + minute))), Some(second), "the line before is later");
    let unambiguous = shown(date(2026, 10, 25).at(2, 0, 0, 0));
    assert_eq!(clock.unix_nanos(unambiguous, read_later(Some(second))), Some(second + 30 * minute));
}

#[test]
fn skipped_time_uses_offset_before_change() {
    let mut clock = Clock::new(zone("Europe/London"));
    let skipped = date(2026, 3, 29).at(1, 30, 0, 0);
    // 01:30Z
    assert_eq!(clock.unix_nanos(shown(skipped), LONG_AGO), Some(1_774_747_800_000_000_000));
}

#[test]
fn utc_offset_in_line_overrides_zone() {
    let mut clock = Clock::new(zone("Asia/Kolkata"));
    let civil = date(2026, 11, 23).at(8, 18, 10, 936_000_000);
    let with_offset = LocalTime { civil, offset: Some(Offset::constant(1)) };
    assert_eq!(clock.unix_nanos(with_offset, LONG_AGO), Some(1_795_418_290_936_000_000));
    assert_eq!(clock.unix_nanos(shown(civil), LONG_AGO), by_jiff(&zone("Asia/Kolkata"), civil));
}

#[test]
fn times_outside_otlp_range_are_rejected() {
    let mut clock = Clock::new(TimeZone::UTC);
    assert_eq!(clock.unix_nanos(shown(date(1969, 12, 31).at(23, 59, 59, 999_999_999)), LONG_AGO), None);
    assert_eq!(clock.unix_nanos(shown(date(1970, 1, 1).at(0, 0, 0, 0)), LONG_AGO), Some(0));
    assert_eq!(clock.unix_nanos(shown(date(2555, 1, 1).at(0, 0, 0, 0)), LONG_AGO), None);
}

const ZONES: [&str; 7] = [
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Etc/UTC",
];

fn civil_times() -> impl Strategy<Value = DateTime> {
    (1970..2100_i16, 1..=12_i8, 1..=28_i8, 0..24_i8, 0..60_i8, 0..60_i8, 0..1_000_000_000_i32).prop_map(
        |(year, month, day, hour, minute, second, nano)| date(year, month, day).at(hour, minute, second, nano),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever was asked before, the result is jiff's: far from clock changes, and shortly before
    /// and after each.
    #[test]
    fn cached_offset_never_changes_result(
        name in prop::sample::select(&ZONES[..]),
        times in prop::collection::vec((civil_times(), prop::collection::vec(-7200..7200_i64, 0..6)), 1..6),
    ) {
        let zone = zone(name);
        let mut clock = Clock::new(zone.clone());
        for (civil, near) in times {
            prop_assert_eq!(clock.unix_nanos(shown(civil), LONG_AGO), by_jiff(&zone, civil));
            let Some(change) = zone.following(zone.to_timestamp(civil).unwrap()).next() else { continue };
            for seconds in near {
                let civil = change.offset().to_datetime(change.timestamp() + SignedDuration::from_secs(seconds));
                prop_assert_eq!(clock.unix_nanos(shown(civil), LONG_AGO), by_jiff(&zone, civil), "{} in {}", civil, name);
            }
        }
    }
}
