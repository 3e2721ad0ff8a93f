//! Scenario: app instances start, end and change their app.

use super::*;

fn at(seconds: u64) -> ClockReading {
    let elapsed = Duration::from_secs(seconds);
    ClockReading { wall: jiff::Timestamp::UNIX_EPOCH + elapsed, elapsed, awake: elapsed }
}

fn key(window: u64, app: &str) -> InstanceKey {
    InstanceKey { owner: Owner::Window(window), app: app.into() }
}

/// An instance that existed before has no start and no duration. One that starts and ends later has
/// both. A window that changes its app becomes a new instance.
#[test]
fn instances_start_and_end() {
    let mut instances = Instances::default();
    assert_eq!(instances.update(at(0), &[key(1, "orders")]), []);
    assert_eq!(instances.update(at(5), &[key(1, "orders"), key(2, "orders")]), [Change::Started("orders".into())]);
    assert_eq!(instances.running(), BTreeMap::from([("orders".into(), 2)]));
    let changes = instances.update(at(9), &[key(2, "charts")]);
    let ended = |window, started| Change::Ended { owner: Owner::Window(window), app: "orders".into(), started };
    let length = Duration::from_secs(4);
    assert_eq!(changes, [ended(1, None), ended(2, Some((at(5), length))), Change::Started("charts".into())]);
    assert_eq!(instances.update(at(10), &[key(2, "charts")]), []);
}
