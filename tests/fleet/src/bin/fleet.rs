//! `fleet`: simulated desks and days, into a collector or only counted. `cargo xtask fleet` builds
//! and starts it.

use clap::Parser;
use test_fleet::{Fleet, most, run};

/// Desks on simulated days.
#[derive(Parser)]
struct Arguments {
    /// How many desks.
    #[arg(long, default_value_t = 20)]
    desks: u32,
    /// How many days; the last one is yesterday.
    #[arg(long, default_value_t = 1)]
    days: u32,
    /// Chooses all that is drawn by lot.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two exports of metrics.
    #[arg(long, default_value_t = 60)]
    interval: u32,
    /// Address of an OTLP/gRPC receiver; without one everything is only counted.
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
    println!("what the data say:");
    println!("  most used by focus (app, s): {:?}", most(&answers.focus_by_app()));
    println!("  most used by starts: {:?}", most(&answers.starts));
    println!("  most failures (action): {:?}", most(&answers.failures_by_action()));
    println!("  longest at its limit (machine, s): {:?}", most(&answers.limit));
    println!("  most errors (hour, UTC): {:?}", most(&answers.errors_by_hour));
    Ok(())
}
