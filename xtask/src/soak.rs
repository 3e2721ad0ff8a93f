//! `cargo xtask soak`: runs under faults are a program of the tests' crate; here it gets what it needs.

use anyhow::Result;
use clap::Args;

use crate::machine;
use crate::step::{command, program, run as run_command, step};

/// How long, and how much at a time.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many runs.
    #[arg(long, default_value_t = 1000)]
    runs: u64,
    /// Seed of the first run; the others count on from it. By default a random one.
    #[arg(long)]
    seed: Option<u64>,
    /// Begin no run after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Runs at the same time.
    #[arg(long, default_value_t = 3)]
    jobs: u64,
    /// Show what each step did, of runs that went well too.
    #[arg(long)]
    trace: bool,
    /// The agent as it is shipped.
    #[arg(long)]
    release: bool,
}

/// Builds the agent, and runs it under faults.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    machine::faketime()?;
    let profile: &[&str] = if arguments.release { &["--release"] } else { &[] };
    step("Build the agent", || {
        run_command(command(&["cargo", "build", "--quiet", "--package", "insights-agent"]).args(profile))
    })?;
    let words = ["cargo", "run", "--quiet", "--package", "insights-agent-tests", "--bin", "soak", "--"];
    let mut soak = command(&words);
    soak.args(["--runs", &arguments.runs.to_string(), "--jobs", &arguments.jobs.to_string()]);
    for (name, value) in [("--seed", arguments.seed), ("--minutes", arguments.minutes)] {
        if let Some(value) = value {
            soak.args([name, &value.to_string()]);
        }
    }
    if arguments.trace {
        soak.arg("--trace");
    }
    let built = program(if arguments.release { "release" } else { "debug" });
    run_command(soak.env("INSIGHTS_AGENT_BIN", built))
}
