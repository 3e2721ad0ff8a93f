//! `fleet`: simulates desks and days, and sends the data to a collector or only counts it. `cargo
//! xtask fleet` builds and starts it.

use clap::Parser;
use test_fleet::{Fleet, max_entry, run};

/// Simulates the desks of a company for several days.
#[derive(Parser)]
struct Arguments {
    /// Number of desks.
    #[arg(long, default_value_t = 20)]
    desks: u32,
    /// Number of days; the last one is yesterday.
    #[arg(long, default_value_t = 1)]
    days: u32,
    /// Seed of all random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Export interval of metrics, in seconds.
    #[arg(long, default_value_t = 60)]
    interval: u32,
    /// Address of an OTLP/gRPC receiver. Without one, the data is only counted.
    #[arg(long)]
    collector: Option<String>,
}

fn main() -> Result<(), String> {
    let Arguments { desks, days, seed, interval, collector } = Arguments::parse();
    let today = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let first = today.saturating_sub(jiff::Span::new().days(i64::from(days)));
    let fleet = Fleet { desks, days, first, interval: interval.max(1), seed };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let (report, answers) = runtime.block_on(run(&fleet, collector.as_deref()))?;
    println!("{report}");
    println!("Expected results of queries:");
    println!("  most used by focus (app, s): {:?}", max_entry(&answers.focus_by_app()));
    println!("  most used by starts: {:?}", max_entry(&answers.starts));
    println!("  most failures (action): {:?}", max_entry(&answers.failures_by_action()));
    println!("  longest at its limit (machine, s): {:?}", max_entry(&answers.limit));
    println!("  most errors (hour, UTC): {:?}", max_entry(&answers.errors_by_hour));
    Ok(())
}
