//! `run` and `collector`: the commands that run until they are stopped.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use insights_agent::agent::{Headless, Service};
use insights_agent::control::is_running;
use insights_agent::debug_collector;
use insights_agent::paths::LockError;
use insights_agent::shutdown::shutdown_signal;
use insights_agent::startup::CommonArgs;
use insights_agent::{priority, program_log};

use super::{CollectorArguments, block_on};

/// `run`.
pub(super) fn agent(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    priority::lower();
    let data = common.data()?;
    let loaded = common.settings(true)?;
    // Checked before the log is opened: a second agent must not rotate the log of the first.
    if block_on(async { Ok(is_running(&data).await) })? {
        return Err(LockError::Taken(data.path().to_owned()).into());
    }
    drop(data.lock_or_wait()?);
    if let Err(error) = program_log::start(&data.program_log(), loaded.settings.program_log.level, true) {
        tracing::error!("failed to open the agent's log: {error:#}");
    }
    block_on(async {
        Box::pin(Service::run(common.clone(), data, loaded, Headless)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `collector`.
pub(super) fn collector(arguments: &CollectorArguments) -> anyhow::Result<ExitCode> {
    block_on(async {
        let options = debug_collector::Options {
            grpc: arguments.grpc,
            http: arguments.http,
            format: arguments.format.into(),
            colour: std::io::stdout().is_terminal(),
        };
        let collector = debug_collector::bind(&options).await?;
        eprintln!("A small collector for trials and tests. It stores nothing and accepts data from this machine only.");
        eprintln!(
            "OTLP/gRPC at http://{}, OTLP/HTTP at http://{}. Stop it with Ctrl-C.",
            collector.grpc_addr(),
            collector.http_addr()
        );
        let ended = shutdown_signal()?;
        let print = |line: &str| {
            // A closed pipe ends the printing, not the program.
            let _ = writeln!(std::io::stdout(), "{line}");
        };
        let totals = collector.run(print, ended).await;
        eprintln!("{totals}");
        Ok(ExitCode::SUCCESS)
    })
}
