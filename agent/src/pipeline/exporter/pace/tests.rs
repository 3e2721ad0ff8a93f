use super::*;

fn pace(machine: &str, saving: Option<Saving>) -> (watch::Sender<Option<Saving>>, Pace) {
    let (set, saving) = watch::channel(saving);
    (set, Pace::new(&Settings::default(), machine, saving))
}

/// Guarantees: metrics of a fleet that was started at once are spread over half a minute, evenly; what else there is goes at once.
#[tokio::test]
async fn a_fleet_is_spread() {
    let now = Instant::now();
    let waits: Vec<Duration> =
        (0..1000).map(|desk| pace(&format!("desk-{desk}"), None).1.wait(Signal::Metrics, now)).collect();
    assert!(waits.iter().all(|wait| *wait <= MOST_SPREAD));
    for second in (0..30).step_by(5) {
        let range = Duration::from_secs(second)..Duration::from_secs(second + 5);
        let inside = waits.iter().filter(|wait| range.contains(*wait)).count();
        assert!((100..240).contains(&inside), "{inside} of 1000 within {range:?}");
    }
    let (_set, one) = pace("desk-1", None);
    assert_eq!(one.wait(Signal::Metrics, now), waits[1], "always the same");
    assert_eq!(one.wait(Signal::Logs, now), Duration::ZERO);
}

/// Guarantees: while the machine is spared, all signals are sent at the same moments, an interval apart.
#[tokio::test]
async fn a_spared_machine_sends_rarely_and_at_once() {
    let (_set, pace) = pace("desk-1", Some(Saving::Battery));
    let begun = Instant::now();
    for seconds in [0, 1, 299, 300, 301, 86_400] {
        let now = begun + Duration::from_secs(seconds);
        let moments = Signal::ALL.map(|signal| now + pace.wait(signal, now));
        assert!(moments[0] == moments[1] && moments[1] == moments[2]);
        let slots = moments[0].duration_since(pace.origin).as_secs_f64() / 300.0;
        assert!((slots - slots.round()).abs() < 1e-6, "{seconds}: {slots}");
        assert!(moments[0] > now && moments[0] <= now + Duration::from_mins(5));
    }
}

/// Guarantees: what waits goes as soon as the machine need not be spared any more.
#[tokio::test]
async fn the_end_of_saving_is_noticed() {
    let (set, mut pace) = pace("desk-1", Some(Saving::Metered));
    let gathered = tokio::spawn(async move { pace.gather(Signal::Logs).await });
    set.send(None).unwrap();
    tokio::time::timeout(Duration::from_secs(20), gathered).await.unwrap().unwrap();
}
