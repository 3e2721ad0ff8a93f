//! `cargo xtask fleet`: simulated desks are a program of the tests' crate; here it is built and started.

use anyhow::Result;
use clap::Args;

use crate::step::{command, run as run_command};

/// How many, for how long, and where to.
#[derive(Args)]
pub(crate) struct Arguments {
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

impl Arguments {
    /// So many desks on yesterday, into a collector.
    pub(crate) fn of(desks: u32, collector: &str) -> Self {
        Self { desks, days: 1, seed: 1, interval: 60, collector: Some(collector.to_owned()) }
    }
}

/// Lets the desks work.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut fleet = command(&["cargo", "run", "--quiet", "--package", "insights-agent-tests", "--bin", "fleet", "--"]);
    let Arguments { desks, days, seed, interval, collector } = arguments;
    fleet.arg(format!("--desks={desks}")).arg(format!("--days={days}"));
    fleet.arg(format!("--seed={seed}")).arg(format!("--interval={interval}"));
    if let Some(collector) = collector {
        fleet.arg(format!("--collector={collector}"));
    }
    run_command(&mut fleet)
}
