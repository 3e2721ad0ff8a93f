//! `insights-agent`: the agent as a console program, and the commands that ask and steer it.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::main(cli::Arguments::parse())
}
