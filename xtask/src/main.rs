//! The project's own commands, such as `cargo xtask run` and `cargo xtask test`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod deb;
mod demo;
mod docs;
mod fleet;
mod fuzz;
mod house;
mod installer;
mod licences;
mod machine;
mod mutants;
mod pictures;
mod release;
mod sign;
mod soak;
mod stack;
mod step;
mod suite;
mod windows;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the agent with a small collector, and show what arrives.
    Run {
        /// Stop after this number of seconds.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Run all checks and tests: format, lints, licences, Windows, tests.
    Test {
        /// Leave out Windows, the real collector, VictoriaMetrics and the Python decoder.
        #[arg(long)]
        quick: bool,
    },
    /// Check format, house style, lints and licences.
    Lint,
    /// Check only the project's own rules: words, module order, comment width, manifests. Takes a
    /// second.
    House,
    /// Write all generated documents: settings, signals, privacy, dashboards, schema, policies.
    Docs,
    /// Write the list of components for the window.
    Licences,
    /// Write the pictures of README and docs from the screenshots of the tests.
    Pictures,
    /// Run the lints for Windows.
    WindowsCheck,
    /// Build both programs for Windows, for shipping.
    Windows,
    /// Run the tests of the library, the agent and the installer under Wine.
    WindowsTest,
    /// Make the installers for Windows, per machine and per user.
    Msi,
    /// Make the package for Debian and Ubuntu.
    Deb,
    /// Write all files of a release to dist/.
    Release,
    /// Download the real receivers of the end-to-end tests, and print where they are.
    Receivers,
    /// Feed random input to all parsers of foreign data.
    Fuzz {
        /// Only this target of `fuzz/fuzz_targets`.
        target: Option<String>,
        /// Seconds for each target.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
    /// Change the pure cores of the agent, and check that the library's tests notice. Takes hours.
    Mutants {
        /// Only the files with this name, such as `framing`.
        core: Option<String>,
    },
    /// Measure the performance budgets, and compare with similar programs.
    #[command(disable_help_flag = true)]
    Bench(step::Arguments),
    /// Simulate a fleet of desks, and report what they send.
    #[command(disable_help_flag = true)]
    Fleet(step::Arguments),
    /// Start Collector, VictoriaMetrics and Prometheus with the shipped configuration, and fill
    /// them with data.
    Stack(stack::Arguments),
    /// Run the agent under faults, many times, and count what is lost and doubled.
    Soak(soak::SoakArguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run { seconds } => demo::run(seconds),
        Command::Test { quick } => suite::test(quick),
        Command::Lint => suite::lint(),
        Command::House => house::check(),
        Command::Docs => docs::write(),
        Command::Licences => licences::write(),
        Command::Pictures => pictures::write(),
        Command::WindowsCheck => suite::windows_check(),
        Command::Windows => windows::show(),
        Command::WindowsTest => windows::test(),
        Command::Msi => installer::show(),
        Command::Deb => deb::show(),
        Command::Release => release::run_release(),
        Command::Receivers => suite::receivers(),
        Command::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Command::Mutants { core } => mutants::run(core.as_deref()),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fleet(arguments) => fleet::run(&arguments),
        Command::Stack(arguments) => stack::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
    }
}
