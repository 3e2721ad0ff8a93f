//! Scenario: the system clock is set while the agent runs, or before it starts.
//! Guarantees: queued data never becomes older or younger by it, and never has a time in the
//! future.

use std::time::Duration;

use super::*;

const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;
const START: i64 = 1_800_000_000_000;

/// However the system clock is set while the agent runs, the queue clock advances by elapsed time.
#[test]
fn queue_clock_is_steady_when_system_clock_is_set() {
    let started = Instant::now();
    let mut clock = QueueClock::new(started, START);
    let hour = Duration::from_hours(1);
    assert_eq!(clock.time(started + hour, START + HOUR), START + HOUR);
    assert_eq!(clock.time(started + 2 * hour, START - YEAR), START + 2 * HOUR, "set back");
    assert_eq!(clock.time(started + 3 * hour, START - YEAR + HOUR), START + 3 * HOUR);
    assert_eq!(clock.time(started + 4 * hour, START + 4 * HOUR), START + 4 * HOUR, "set right");
    assert_eq!(clock.time(started + 5 * hour, START + YEAR), START + 5 * HOUR, "set forwards");
    assert_eq!(clock.to_wall_clock(START), START + YEAR - 5 * HOUR, "a batch that is five hours old is shown as such");
}

/// After a start with a clock that was set back, queued data ages from the time of the newest
/// batch.
#[test]
fn queue_clock_starts_at_newest_batch_when_system_clock_was_set_back() {
    let started = Instant::now();
    let mut clock = QueueClock::new(started, START - YEAR);
    clock.advance_to(Some(START));
    assert_eq!(clock.time(started, START - YEAR), START);
    assert_eq!(clock.time(started + Duration::from_hours(1), START - YEAR + HOUR), START + HOUR);
    assert_eq!(clock.to_wall_clock(START), START - YEAR);
    clock.advance_to(Some(START - 5 * HOUR));
    clock.advance_to(None);
    let time = clock.time(started + Duration::from_hours(1), START - YEAR + HOUR);
    assert_eq!(time, START + HOUR, "the clock only moves forward");
}
