use proptest::prelude::*;

use super::*;

fn tally() -> Tally {
    Tally::new(&HostSettings::default())
}

fn sample(start: Instant, millis: u64, cpu: (u64, u64), used: u64) -> Sample {
    let at = start + Duration::from_millis(millis);
    Sample { at, cpu: Some(CpuTimes { busy: cpu.0, total: cpu.1 }), memory: Some(Space { used, total: 100 }) }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

/// The mean over an export interval is that of the whole time, however uneven the samples were, and starts anew with
/// each export; a second export without a sample repeats it.
#[test]
fn mean_since_the_last_export() {
    let (start, mut tally) = (Instant::now(), tally());
    assert_eq!(tally.take_mean_cpu(), None);
    tally.add(sample(start, 0, (1000, 5000), 0));
    assert_eq!(tally.take_mean_cpu(), None, "one look says nothing about a share");
    tally.add(sample(start, 5000, (1000, 5100), 0));
    tally.add(sample(start, 6000, (1100, 5200), 0));
    assert_eq!(tally.figures().cpu, Some(1.0), "the last step");
    assert_eq!(tally.take_mean_cpu(), Some(0.5));
    assert_eq!(tally.take_mean_cpu(), Some(0.5));
    tally.add(sample(start, 11_000, (1110, 5300), 0));
    assert_eq!(tally.take_mean_cpu(), Some(0.1));
}

/// Real time counts, not the number of samples; at the threshold is above it; a night of sleep adds nothing.
#[test]
fn seconds_above_the_threshold() {
    let (start, mut tally) = (Instant::now(), tally());
    tally.add(sample(start, 0, (0, 0), 95));
    assert!(close(tally.figures().memory_seconds_above, 0.0), "nothing is known of the time before the first sample");
    tally.add(sample(start, 5000, (90, 100), 90));
    tally.add(sample(start, 12_500, (179, 200), 89));
    assert!(close(tally.figures().cpu_seconds_above, 5.0), "0.90 counts, 0.89 does not");
    assert!(close(tally.figures().memory_seconds_above, 5.0));
    tally.add(sample(start, 20_000, (279, 300), 95));
    assert!(close(tally.figures().cpu_seconds_above, 12.5), "a step of 7.5 s counts as 7.5 s");
    tally.add(sample(start, 28_820_000, (379, 400), 95));
    assert!(close(tally.figures().cpu_seconds_above, 12.5));
    assert!(close(tally.figures().memory_seconds_above, 12.5));
}

/// What cannot be read is not made up.
#[test]
fn missing_readings() {
    let (start, mut tally) = (Instant::now(), tally());
    for millis in [0, 5000] {
        tally.add(Sample { at: start + Duration::from_millis(millis), cpu: None, memory: None });
    }
    assert_eq!(tally.figures(), HostFigures::default());
    assert_eq!(tally.take_mean_cpu(), None);
    assert_eq!(Space::default().utilization(), None);
    assert_eq!(Space::of_available(7, 5), Space { used: 0, total: 5 }, "more available than there is");
}

proptest! {
    /// For any sequence of samples, counters that run backwards included: time above a threshold never shrinks and never
    /// exceeds the time that has passed, and shares are shares.
    #[test]
    fn time_above_is_at_most_the_time_that_passed(
        steps in prop::collection::vec((0_u64..40_000, 0_u64..500, 0_u64..500, 0_u64..=100), 1..60)
    ) {
        let (start, mut tally) = (Instant::now(), tally());
        let (mut millis, mut before) = (0, HostFigures::default());
        for (step, busy, total, used) in steps {
            millis += step;
            tally.add(sample(start, millis, (busy, total), used));
            let now = tally.figures();
            let passed = millis as f64 / 1000.0 + 1e-6;
            prop_assert!(now.cpu_seconds_above >= before.cpu_seconds_above && now.cpu_seconds_above <= passed);
            prop_assert!(now.memory_seconds_above >= before.memory_seconds_above && now.memory_seconds_above <= passed);
            for share in now.cpu.into_iter().chain(tally.take_mean_cpu()) {
                prop_assert!((0.0..=1.0).contains(&share));
            }
            before = now;
        }
    }
}
