//! `cargo xtask bench`: the measurements are a program of the tests' crate; here it gets what it needs.

use anyhow::Result;

use crate::machine;
use crate::step::{command, program, run as run_command, step};

/// Builds the agent as it is shipped, and measures it.
pub(crate) fn run(lines: u64, idle_seconds: u64) -> Result<()> {
    let environment = machine::peers()?;
    machine::webview()?;
    machine::desktop()?;
    step("Build the programs as they are shipped", || {
        let packages = ["--package", "insights-agent", "--package", "insights-tray"];
        run_command(&mut command(&[&["cargo", "build", "--quiet", "--release"], &packages[..]].concat()))
    })?;
    let words = ["cargo", "run", "--quiet", "--release", "--package", "insights-agent-tests", "--bin", "bench", "--"];
    run_command(
        command(&words)
            .args([lines.to_string(), idle_seconds.to_string()])
            .envs(environment)
            .env("INSIGHTS_AGENT_BIN", program("release"))
            .env("INSIGHTS_TRAY_BIN", program("release").with_file_name("insights-tray")),
    )
}
