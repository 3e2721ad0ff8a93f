//! The programs that run until they are ended: the agent and the embedded collector.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use insights_agent::agent::Agent;
use insights_agent::collector::{self, Options};
use insights_agent::{priority, program_log};

use super::{CollectorArguments, Common, block_on, settings};

/// `run`.
pub(super) fn agent(common: &Common) -> anyhow::Result<ExitCode> {
    priority::lower();
    let data = common.data()?;
    let loaded = settings::load(common, true)?;
    // Taken and given back before the log is opened: a second agent must not turn over the log of the first.
    drop(data.take()?);
    if let Err(error) = program_log::start(&data.program_log(), loaded.settings.program_log.level, true) {
        tracing::error!(%error, "the agent's log cannot be opened");
    }
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    for problem in &problems {
        tracing::warn!("{problem}");
    }
    block_on(async {
        // Before the start, so that an end that comes during it is not missed.
        let ended = ended()?;
        let agent = Agent::start(&loaded.settings, &data, problems)?;
        if let Err(error) = loaded.keep_as_last_good() {
            tracing::warn!(%error, "a copy of the settings could not be kept");
        }
        ended.await;
        agent.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// `collector`.
pub(super) fn collector(arguments: &CollectorArguments) -> anyhow::Result<ExitCode> {
    block_on(async {
        let options = Options {
            grpc: arguments.grpc,
            http: arguments.http,
            format: arguments.format.into(),
            colour: std::io::stdout().is_terminal(),
        };
        let collector = collector::bind(&options).await?;
        eprintln!(
            "A small collector for trying out and for tests: it keeps nothing and takes data from this machine only."
        );
        eprintln!(
            "OTLP/gRPC at http://{}, OTLP/HTTP at http://{}. Ctrl-C ends it.",
            collector.grpc_addr(),
            collector.http_addr()
        );
        let ended = ended()?;
        let print = |line: &str| {
            // Nobody reads any more: the end of the pipe ends the printing, not the program.
            let _ = writeln!(std::io::stdout(), "{line}");
        };
        let totals = collector.run(print, ended).await;
        eprintln!("{totals}");
        Ok(ExitCode::SUCCESS)
    })
}

/// Completes when the program is asked to end; listens from this call on.
#[cfg(unix)]
fn ended() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Completes when the program is asked to end; listens from this call on.
#[cfg(windows)]
fn ended() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::windows;
    let mut interrupt = windows::ctrl_c()?;
    let mut close = windows::ctrl_close()?;
    let mut logoff = windows::ctrl_logoff()?;
    let mut shutdown = windows::ctrl_shutdown()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}
