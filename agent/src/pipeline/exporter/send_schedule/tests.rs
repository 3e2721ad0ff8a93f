//! Scenario: agents of a fleet, with and without power saving, ask when to send.

use super::*;

fn schedule(machine: &str, power_saving: Option<PowerSaving>) -> (watch::Sender<Option<PowerSaving>>, SendSchedule) {
    let (set, power_saving) = watch::channel(power_saving);
    (set, SendSchedule::new(&Settings::default(), machine, power_saving))
}

/// Guarantees: agents that start at the same moment spread their metrics evenly over half a minute.
/// Other signals are sent immediately.
#[tokio::test]
async fn metrics_of_fleet_started_together_are_spread_evenly() {
    let now = Instant::now();
    let delays: Vec<Duration> =
        (0..1000).map(|desk| schedule(&format!("desk-{desk}"), None).1.delay(Signal::Metrics, now)).collect();
    assert!(delays.iter().all(|delay| *delay <= MAX_SPREAD));
    for second in (0..30).step_by(5) {
        let range = Duration::from_secs(second)..Duration::from_secs(second + 5);
        let inside = delays.iter().filter(|delay| range.contains(*delay)).count();
        assert!((100..240).contains(&inside), "{inside} of 1000 within {range:?}");
    }
    let (_set, one) = schedule("desk-1", None);
    assert_eq!(one.delay(Signal::Metrics, now), delays[1], "the same machine always has the same delay");
    assert_eq!(one.delay(Signal::Logs, now), Duration::ZERO);
}

/// Guarantees: while saving power, all signals are sent at the same moments, one interval apart.
#[tokio::test]
async fn signals_share_send_slots_while_saving_power() {
    let (_set, schedule) = schedule("desk-1", Some(PowerSaving::Battery));
    let start = Instant::now();
    for seconds in [0, 1, 299, 300, 301, 86_400] {
        let now = start + Duration::from_secs(seconds);
        let moments = Signal::ALL.map(|signal| now + schedule.delay(signal, now));
        assert!(moments[0] == moments[1] && moments[1] == moments[2]);
        let slots = moments[0].duration_since(schedule.origin).as_secs_f64() / 300.0;
        assert!((slots - slots.round()).abs() < 1e-6, "{seconds}: {slots}");
        assert!(moments[0] > now && moments[0] <= now + Duration::from_mins(5));
    }
}

/// Guarantees: delayed data is sent as soon as power saving ends.
#[tokio::test]
async fn delay_ends_when_power_saving_ends() {
    let (set, mut schedule) = schedule("desk-1", Some(PowerSaving::Metered));
    let slot = tokio::spawn(async move { schedule.wait_for_slot(Signal::Logs).await });
    set.send(None).unwrap();
    tokio::time::timeout(Duration::from_secs(20), slot).await.unwrap().unwrap();
}
