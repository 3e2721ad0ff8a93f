//! `soak`: runs under faults, many of them, several at a time. `cargo xtask soak` builds and starts
//! it.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("The faults are made with what only Linux has.");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use clap::Parser;
    use test_faults::{Report, process, run};

    /// Runs the agent under faults, and counts what is lost and duplicated.
    #[derive(Parser)]
    struct Arguments {
        /// Number of runs.
        #[arg(long, default_value_t = 100)]
        runs: u64,
        /// Seed of the first run; each further run adds one. Random by default.
        #[arg(long)]
        seed: Option<u64>,
        /// Start no further run after this number of minutes.
        #[arg(long)]
        minutes: Option<u64>,
        /// Number of runs in parallel.
        #[arg(long, default_value_t = 3)]
        jobs: u64,
        /// Show the effect of each step, also for runs that pass.
        #[arg(long)]
        trace: bool,
    }

    /// Sums over all runs.
    #[derive(Default)]
    struct Total {
        runs: u64,
        failed: Vec<u64>,
        steps: usize,
        records: usize,
        lost: usize,
        duplicated: usize,
        repeats: usize,
        refused: u64,
    }

    pub(super) fn main() -> ExitCode {
        let arguments = Arguments::parse();
        let first = arguments.seed.unwrap_or_else(|| fastrand::u64(..u64::MAX / 2));
        let until = arguments.minutes.map(|minutes| Instant::now() + Duration::from_mins(minutes));
        let clock = if process::faketime().is_some() { "" } else { ", without changes of the clock: no libfaketime" };
        println!("{} runs from seed {first} on, {} at a time{clock}", arguments.runs, arguments.jobs);
        let started = Instant::now();
        let (next, total) = (AtomicU64::new(0), Mutex::new(Total::default()));
        let work = || {
            while until.is_none_or(|until| Instant::now() < until) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= arguments.runs {
                    break;
                }
                let report = run(first.wrapping_add(number));
                total.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&report, arguments.trace);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..arguments.jobs {
                scope.spawn(work);
            }
        });
        let total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        total.print(started.elapsed());
        if total.failed.is_empty() && total.runs > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    impl Total {
        fn add(&mut self, report: &Report, trace: bool) {
            self.runs += 1;
            self.steps += report.schedule.steps.len();
            self.records += report.records;
            self.lost += report.account.lost.len();
            self.duplicated += report.account.duplicated.len();
            self.repeats += report.account.repeats;
            self.refused += report.account.never_accepted;
            println!("{:>5} {}", self.runs, report.line());
            if !report.is_good() {
                self.failed.push(report.schedule.seed);
            }
            if trace || !report.is_good() {
                println!("{report}");
            }
        }

        fn print(&self, took: Duration) {
            println!();
            println!("| runs | steps | records | lost | duplicated | repeats | refused | failed runs | minutes |");
            println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
            let Self { runs, failed, steps, records, lost, duplicated, repeats, refused } = self;
            let (failures, minutes) = (failed.len(), took.as_secs_f64() / 60.0);
            println!(
                "| {runs} | {steps} | {records} | {lost} | {duplicated} | {repeats} | {refused} | {failures} | {minutes:.1} |"
            );
            if !failed.is_empty() {
                println!("seeds that failed: {failed:?}");
            }
        }
    }
}
