//! `cargo xtask bench`: the measurements are a program of the tests' crate; here it gets what it needs.

use anyhow::Result;

use crate::machine;
use crate::step::{command, program, run as run_command, step};

/// Builds the agent as it is shipped, and measures it.
pub(crate) fn run(lines: u64, idle_seconds: u64) -> Result<()> {
    let environment = machine::peers()?;
    step("Build the agent as it is shipped", || {
        run_command(&mut command(&["cargo", "build", "--quiet", "--release", "--package", "insights-agent"]))
    })?;
    let words = ["cargo", "run", "--quiet", "--package", "insights-agent-tests", "--bin", "bench", "--"];
    run_command(
        command(&words)
            .args([lines.to_string(), idle_seconds.to_string()])
            .envs(environment)
            .env("INSIGHTS_AGENT_BIN", program("release")),
    )
}
