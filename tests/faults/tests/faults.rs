//! Scenario: the agent runs under random faults (see docs/testing.md). `SOAK_SEED=n` runs the
//! schedule of one seed.

#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicUsize, Ordering};

use test_faults::{process, run};

/// Number of runs with random seeds. `cargo xtask soak` does many more.
const RUNS: usize = 8;
/// Number of runs at the same time.
const JOBS: usize = 2;

/// Guarantees: whatever happens to log files, the agent, the collector, the clock and the disk,
/// every written record is delivered under one `log.record.uid`, or counted as rejected.
#[test]
fn log_records_under_random_faults_are_delivered_exactly_once() {
    let seed = std::env::var("SOAK_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = seed.map_or_else(|| (0..RUNS).map(|_| fastrand::u64(..)).collect(), |seed| vec![seed]);
    eprintln!("seeds {seeds:?}");
    if process::faketime().is_none() {
        eprintln!("skipped, because libfaketime is not installed: changes of the clock");
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = run(*seed);
            eprintln!("{}", report.line());
            assert!(report.is_good(), "{report}");
        }
    };
    std::thread::scope(|scope| (0..JOBS).map(|_| scope.spawn(work)).for_each(drop));
}
