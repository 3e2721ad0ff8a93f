//! Runs commands. Each step is announced in one line, timed, and listed at the end of a long run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

/// Arguments of a program that a command starts. The program parses them, so that each is defined
/// once; `--help` shows them.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Passed to the program unchanged.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) values: Vec<String>,
}

/// Returns a command that runs in the repository; the first word is the program.
pub(crate) fn command(words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Returns the root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Returns the folder that cargo builds in.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns the agent's program in the folder of a profile (`debug`, `release`).
pub(crate) fn program(profile: &str) -> PathBuf {
    target().join(profile).join(format!("insights-agent{}", std::env::consts::EXE_SUFFIX))
}

/// When the program started.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// All finished steps.
static STEPS: Mutex<Vec<Finished>> = Mutex::new(Vec::new());

/// A finished step.
struct Finished {
    name: String,
    /// Time from the start of the program to the start of the step.
    start: Duration,
    length: Duration,
}

/// Does the work of a step, prints how long it took, and records it for [`print_steps`].
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("== {name}");
    let start = START.elapsed();
    let clock = Instant::now();
    let result = work();
    let length = clock.elapsed();
    if let Ok(mut steps) = STEPS.lock() {
        steps.push(Finished { name: name.to_owned(), start, length });
    }
    let result = result.with_context(|| format!("{name}: failed after {:.0} s", length.as_secs_f64()))?;
    eprintln!("== {name}: {:.0} s", length.as_secs_f64());
    Ok(result)
}

/// Prints when each step started and how long it took. Some steps run beside others, so the times
/// do not add up.
pub(crate) fn print_steps() {
    let Ok(mut steps) = STEPS.lock() else { return };
    steps.sort_by_key(|step| step.start);
    eprintln!("\n  start  seconds  step");
    for step in steps.iter() {
        let start = step.start.as_secs();
        eprintln!("  {:>2}:{:02}  {:>7.0}  {}", start / 60, start % 60, step.length.as_secs_f64(), step.name);
    }
    let total = START.elapsed().as_secs();
    eprintln!("  {:>2}:{:02}           end", total / 60, total % 60);
}

/// Runs a command and waits for it.
///
/// # Errors
/// When it cannot be started, or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("failed to start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}
