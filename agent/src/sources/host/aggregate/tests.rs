//! Scenario: samples of the machine are aggregated, with gaps and missing values.

use proptest::prelude::*;

use super::*;

fn aggregate() -> HostAggregate {
    HostAggregate::new(&HostSettings::default())
}

fn sample(start: Instant, millis: u64, cpu: (u64, u64), used: u64) -> Sample {
    let at = start + Duration::from_millis(millis);
    Sample { at, cpu: Some(CpuTimes { busy: cpu.0, total: cpu.1 }), memory: Some(Space { used, total: 100 }) }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

/// The mean over an export interval covers the whole time, however uneven the samples were, and
/// restarts with each export. A second export without a sample in between repeats it.
#[test]
fn mean_cpu_covers_time_since_last_export() {
    let (start, mut aggregate) = (Instant::now(), aggregate());
    assert_eq!(aggregate.take_mean_cpu(), None);
    aggregate.add(sample(start, 0, (1000, 5000), 0));
    assert_eq!(aggregate.take_mean_cpu(), None, "one sample does not give a fraction");
    aggregate.add(sample(start, 5000, (1000, 5100), 0));
    aggregate.add(sample(start, 6000, (1100, 5200), 0));
    assert_eq!(aggregate.figures().cpu, Some(1.0), "the last step");
    assert_eq!(aggregate.take_mean_cpu(), Some(0.5));
    assert_eq!(aggregate.take_mean_cpu(), Some(0.5));
    aggregate.add(sample(start, 11_000, (1110, 5300), 0));
    assert_eq!(aggregate.take_mean_cpu(), Some(0.1));
}

/// Elapsed time counts, not the number of samples. A value exactly at the threshold counts as above
/// it, and a night of sleep adds nothing.
#[test]
fn time_above_threshold_counts_elapsed_time() {
    let (start, mut aggregate) = (Instant::now(), aggregate());
    aggregate.add(sample(start, 0, (0, 0), 95));
    assert!(
        close(aggregate.figures().memory_seconds_above, 0.0),
        "nothing is known of the time before the first sample"
    );
    aggregate.add(sample(start, 5000, (90, 100), 90));
    aggregate.add(sample(start, 12_500, (179, 200), 89));
    assert!(close(aggregate.figures().cpu_seconds_above, 5.0), "0.90 counts, 0.89 does not");
    assert!(close(aggregate.figures().memory_seconds_above, 5.0));
    aggregate.add(sample(start, 20_000, (279, 300), 95));
    assert!(close(aggregate.figures().cpu_seconds_above, 12.5), "a step of 7.5 s counts as 7.5 s");
    aggregate.add(sample(start, 28_820_000, (379, 400), 95));
    assert!(close(aggregate.figures().cpu_seconds_above, 12.5));
    assert!(close(aggregate.figures().memory_seconds_above, 12.5));
}

/// Values that cannot be read stay unknown.
#[test]
fn missing_readings_stay_unknown() {
    let (start, mut aggregate) = (Instant::now(), aggregate());
    for millis in [0, 5000] {
        aggregate.add(Sample { at: start + Duration::from_millis(millis), cpu: None, memory: None });
    }
    assert_eq!(aggregate.figures(), HostFigures::default());
    assert_eq!(aggregate.take_mean_cpu(), None);
    assert_eq!(Space::default().utilization(), None);
    assert_eq!(Space::of_available(7, 5), Space { used: 0, total: 5 }, "more available than there is");
}

proptest! {
    /// For any sequence of samples, including counters that run backwards: time above a threshold
    /// never decreases and never exceeds the elapsed time, and fractions stay between 0 and 1.
    #[test]
    fn time_above_threshold_never_exceeds_elapsed_time(
        steps in prop::collection::vec((0_u64..40_000, 0_u64..500, 0_u64..500, 0_u64..=100), 1..60)
    ) {
        let (start, mut aggregate) = (Instant::now(), aggregate());
        let (mut millis, mut before) = (0, HostFigures::default());
        for (step, busy, total, used) in steps {
            millis += step;
            aggregate.add(sample(start, millis, (busy, total), used));
            let now = aggregate.figures();
            let passed = millis as f64 / 1000.0 + 1e-6;
            prop_assert!(now.cpu_seconds_above >= before.cpu_seconds_above && now.cpu_seconds_above <= passed);
            prop_assert!(now.memory_seconds_above >= before.memory_seconds_above && now.memory_seconds_above <= passed);
            for share in now.cpu.into_iter().chain(aggregate.take_mean_cpu()) {
                prop_assert!((0.0..=1.0).contains(&share));
            }
            before = now;
        }
    }
}
