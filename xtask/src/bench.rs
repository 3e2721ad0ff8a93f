//! `cargo xtask bench`: builds the programs as they are shipped and runs the bench of tests/fleet.

use anyhow::Result;

use crate::machine;
use crate::step::{Arguments, command, program, run as run_command, step};

/// Builds the release programs and measures them.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let environment = machine::peers()?;
    machine::webview()?;
    machine::desktop()?;
    step("Build the programs as they are shipped", || {
        let packages = ["--package", "insights-agent", "--package", "insights-tray"];
        run_command(&mut command(&[&["cargo", "build", "--quiet", "--release"], &packages[..]].concat()))
    })?;
    let words = ["cargo", "run", "--quiet", "--release", "--package", "test-fleet", "--bin", "bench", "--"];
    run_command(
        command(&words)
            .args(&arguments.values)
            .envs(environment)
            .env("INSIGHTS_AGENT_BIN", program("release"))
            .env("INSIGHTS_TRAY_BIN", program("release").with_file_name("insights-tray")),
    )
}
