//! `cargo xtask fleet`: runs the fleet simulator of tests/fleet.

use anyhow::Result;

use crate::step::{Arguments, command, run as run_command};

/// Builds and runs the simulator.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let words = ["cargo", "run", "--quiet", "--package", "test-fleet", "--bin", "fleet", "--"];
    run_command(command(&words).args(&arguments.values))
}
