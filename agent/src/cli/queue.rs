//! `queue`: what the queue holds, with and without a running agent.

use std::process::ExitCode;

use insights_agent::otlp::Signal;
use insights_agent::pipeline::queue::inspect;
use insights_agent::startup::CommonArgs;
use insights_agent::units::bytes;

/// Prints the queue's statistics.
pub(super) fn show(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let stats = inspect(&common.data()?.queue())?;
    if json {
        println!("{}", serde_json::to_string_pretty(&stats)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<10}{:>10}{:>12}{:>12}  oldest", "", "requests", "items", "size");
    for signal in Signal::ALL {
        let of = stats.of(signal);
        let oldest = of.oldest_unix_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let oldest = oldest
            .map(|at| at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string());
        println!(
            "{:<10}{:>10}{:>12}{:>12}  {}",
            signal.name(),
            of.batches,
            of.items,
            bytes(of.bytes),
            oldest.unwrap_or_default()
        );
    }
    for (name, items) in &stats.counters {
        println!("{name}: {items}");
    }
    for file in &stats.quarantined {
        println!("{}, {}: {}", file.reason.description(), bytes(file.bytes), file.path.display());
    }
    Ok(ExitCode::SUCCESS)
}
