//! The project's own commands: `cargo xtask run`, `cargo xtask test`, and the parts of them.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod demo;
mod fuzz;
mod licences;
mod machine;
mod soak;
mod step;
mod suite;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the agent with a small collector beside it and show what arrives.
    Run {
        /// End by itself after so many seconds.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Everything that has to be green: format, lints, licences, Windows, tests.
    Test {
        /// Without the real collector, VictoriaMetrics and the Python decoder.
        #[arg(long)]
        quick: bool,
    },
    /// Format, lints, licences.
    Lint,
    /// Write the list of components for the window.
    Licences,
    /// Check the code for Windows.
    WindowsCheck,
    /// Get the real receivers for the end-to-end tests, and print where they are.
    Receivers,
    /// Try random input on everything that reads what others have written.
    Fuzz {
        /// Only this target of `fuzz/fuzz_targets`.
        target: Option<String>,
        /// Seconds for each target.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
    /// Measure the budgets of the design, with peers beside.
    Bench {
        /// Lines of log in the backlog.
        #[arg(long, default_value_t = 1_000_000)]
        lines: u64,
        /// Seconds of the idle measurement.
        #[arg(long, default_value_t = 60)]
        idle_seconds: u64,
    },
    /// Run the agent under faults, many times, and count what is lost and doubled.
    Soak(soak::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run { seconds } => demo::run(seconds),
        Command::Test { quick } => suite::test(quick),
        Command::Lint => suite::lint(),
        Command::Licences => licences::write(),
        Command::WindowsCheck => suite::windows_check(),
        Command::Receivers => suite::receivers(),
        Command::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Command::Bench { lines, idle_seconds } => bench::run(lines, idle_seconds),
        Command::Soak(arguments) => soak::run(&arguments),
    }
}
