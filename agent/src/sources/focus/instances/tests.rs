//! Starts and ends of instances.

use super::*;

fn at(seconds: u64) -> Moment {
    let elapsed = Duration::from_secs(seconds);
    Moment { wall: jiff::Timestamp::UNIX_EPOCH + elapsed, elapsed, awake: elapsed }
}

fn key(window: u64, app: &str) -> Key {
    Key { owner: Owner::Window(window), app: app.into() }
}

/// What was there before is no start and has no length; what comes and goes has both; what becomes another app is one.
#[test]
fn instances_come_and_go() {
    let mut instances = Instances::default();
    assert_eq!(instances.see(at(0), &[key(1, "orders")]), []);
    assert_eq!(instances.see(at(5), &[key(1, "orders"), key(2, "orders")]), [Change::Started("orders".into())]);
    assert_eq!(instances.running(), BTreeMap::from([("orders".into(), 2)]));
    let changes = instances.see(at(9), &[key(2, "charts")]);
    let ended = |window, begun| Change::Ended { owner: Owner::Window(window), app: "orders".into(), begun };
    let length = Duration::from_secs(4);
    assert_eq!(changes, [ended(1, None), ended(2, Some((at(5), length))), Change::Started("charts".into())]);
    assert_eq!(instances.see(at(10), &[key(2, "charts")]), []);
}
