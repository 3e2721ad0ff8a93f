//! `cargo xtask soak`: builds the agent and runs the soak program of tests/faults.

use anyhow::Result;
use clap::Args;

use crate::machine;
use crate::step::{Arguments, command, program, run as run_command, step};

/// Which agent is tested, and the soak program's own arguments.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SoakArguments {
    /// Test the release build. Must come before the other arguments.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    arguments: Arguments,
}

/// Builds the agent and runs it under faults.
pub(crate) fn run(soak: &SoakArguments) -> Result<()> {
    machine::faketime()?;
    let profile: &[&str] = if soak.release { &["--release"] } else { &[] };
    step("Build the agent", || {
        run_command(command(&["cargo", "build", "--quiet", "--package", "insights-agent"]).args(profile))
    })?;
    let words = ["cargo", "run", "--quiet", "--package", "test-faults", "--bin", "soak", "--"];
    let built = program(if soak.release { "release" } else { "debug" });
    run_command(command(&words).args(&soak.arguments.values).env("INSIGHTS_AGENT_BIN", built))
}
