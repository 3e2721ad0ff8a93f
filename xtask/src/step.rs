//! Running commands, each announced in one line, with its time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

/// Arguments of a program that a command starts. The program parses them, so that each is defined once; `--help` shows them.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Passed to the program unchanged.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) values: Vec<String>,
}

/// A command line; its first word is the program.
pub(crate) fn command(words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder that cargo builds in.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The agent's program as cargo builds it, in the folder of a profile (`debug`, `release`).
pub(crate) fn program(profile: &str) -> PathBuf {
    target().join(profile).join(format!("insights-agent{}", std::env::consts::EXE_SUFFIX))
}

/// Does something that has a name, and says how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("== {name}");
    let start = Instant::now();
    let result = work().with_context(|| format!("{name}: failed after {:.0} s", start.elapsed().as_secs_f64()))?;
    eprintln!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(result)
}

/// Runs a command to its end; one that fails is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("{shown} could not be started"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}
