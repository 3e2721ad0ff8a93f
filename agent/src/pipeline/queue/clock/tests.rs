use std::time::Duration;

use super::*;

const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;
const START: i64 = 1_800_000_000_000;

/// However the system's clock is set while the program runs, the queue's goes on with the time that has passed.
#[test]
fn setting_the_clock_makes_nothing_older_or_younger() {
    let begun = Instant::now();
    let mut clock = Clock::new(begun, START);
    let hour = Duration::from_hours(1);
    assert_eq!(clock.time(begun + hour, START + HOUR), START + HOUR);
    assert_eq!(clock.time(begun + 2 * hour, START - YEAR), START + 2 * HOUR, "set back");
    assert_eq!(clock.time(begun + 3 * hour, START - YEAR + HOUR), START + 3 * HOUR);
    assert_eq!(clock.time(begun + 4 * hour, START + 4 * HOUR), START + 4 * HOUR, "set right");
    assert_eq!(clock.time(begun + 5 * hour, START + YEAR), START + 5 * HOUR, "set forwards");
    assert_eq!(clock.to_system(START), START + YEAR - 5 * HOUR, "a batch of five hours ago is shown as that");
}

/// After a start with a clock that was set back, what waits is not from the future, and grows old from there.
#[test]
fn nothing_that_waits_is_from_the_future() {
    let begun = Instant::now();
    let mut clock = Clock::new(begun, START - YEAR);
    clock.not_before(Some(START));
    assert_eq!(clock.time(begun, START - YEAR), START);
    assert_eq!(clock.time(begun + Duration::from_hours(1), START - YEAR + HOUR), START + HOUR);
    assert_eq!(clock.to_system(START), START - YEAR);
    clock.not_before(Some(START - 5 * HOUR));
    clock.not_before(None);
    assert_eq!(clock.time(begun + Duration::from_hours(1), START - YEAR + HOUR), START + HOUR, "only forwards");
}
