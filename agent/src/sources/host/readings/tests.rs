//! Scenario: interfaces and batteries come and go between exports.

use proptest::prelude::*;

use super::*;

fn total(interface: &str, received: u64, transmitted: u64) -> Traffic {
    Traffic { interface: interface.to_owned(), received, transmitted }
}

/// Sums start at 0, continue through a reset of the counters and through the absence of an
/// interface, and exclude interfaces that never carried data.
#[test]
fn traffic_sums_continue_through_resets() {
    let mut sums = TrafficSums::default();
    let mut add = |totals: &[Traffic]| {
        let mut result = sums.add(totals.iter().cloned());
        result.sort_by(|a, b| a.interface.cmp(&b.interface));
        result
    };
    assert_eq!(add(&[total("wlan0", 1000, 500), total("idle0", 0, 0)]), [total("wlan0", 0, 0)]);
    assert_eq!(add(&[total("wlan0", 1100, 500)]), [total("wlan0", 100, 0)]);
    assert_eq!(add(&[total("wlan0", 30, 10)]), [total("wlan0", 130, 10)], "the counters restarted");
    assert_eq!(add(&[]), []);
    let plugged_in = [total("usb0", 7_000_000, 9), total("wlan0", 40, 10)];
    assert_eq!(
        add(&plugged_in),
        [total("usb0", 0, 0), total("wlan0", 140, 10)],
        "traffic before the first read is not counted"
    );
}

/// Container interfaces have a new name each time; they do not accumulate.
#[test]
fn gone_interfaces_are_forgotten() {
    let mut sums = TrafficSums::default();
    for index in 0..1000 {
        sums.add([total("eth0", 1 + index, 0), total(&format!("veth{index}"), 1, 1)].into_iter());
        assert!(sums.interfaces.len() <= MAX_REMEMBERED_INTERFACES + 2);
    }
    assert_eq!(sums.interfaces["eth0"].sum, total("eth0", 999, 0));
}

/// One discharging battery is enough; a battery with an unknown state does not count.
#[test]
fn external_power_follows_battery_states() {
    for (states, external) in [
        (&[][..], None),
        (&[State::Unknown], None),
        (&[State::Empty], None),
        (&[State::Charging], Some(true)),
        (&[State::Unknown, State::Full], Some(true)),
        (&[State::Paused], Some(true)),
        (&[State::Charging, State::Discharging], Some(false)),
        (&[State::Discharging, State::Full], Some(false)),
    ] {
        assert_eq!(external_power(states.iter().copied()), external, "{states:?}");
    }
}

/// All instruments of one export see the same readings, and those of the next export see new ones.
/// Works without a battery.
#[test]
fn readings_are_taken_once_per_export() {
    let mut readings = ReadingsCache::new();
    let start = Instant::now();
    let first = readings.readings(start).clone();
    assert!(first.uptime.is_some_and(|seconds| seconds > 0));
    readings.readings.as_mut().unwrap().1.uptime = None;
    assert_eq!(readings.readings(start + SAME_EXPORT_WINDOW / 2).uptime, None, "not read again");
    assert!(readings.readings(start + SAME_EXPORT_WINDOW).uptime.is_some(), "read again");
}

proptest! {
    /// For any sequence of totals, the sums never decrease.
    #[test]
    fn traffic_sums_never_decrease(totals in prop::collection::vec((0_u64..1000, 0_u64..1000), 1..50)) {
        let (mut sums, mut before) = (TrafficSums::default(), total("eth0", 0, 0));
        for (received, transmitted) in totals {
            if let Some(now) = sums.add(std::iter::once(total("eth0", received, transmitted))).pop() {
                prop_assert!(now.received >= before.received && now.transmitted >= before.transmitted);
                before = now;
            }
        }
    }
}
