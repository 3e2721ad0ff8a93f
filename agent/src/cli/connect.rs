//! `connect setup`: io.Insights pointed at this agent.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use insights_agent::config::{ReceiverSettings, Secret};
use insights_agent::control::{AskError, Reply, Request, ask};
use insights_agent::ioconnect::setup::{UpdatedConfig, default_system_json, with_insights_endpoint};
use insights_agent::startup::CommonArgs;

use super::block_on;

#[derive(Debug, Subcommand)]
pub(super) enum Connect {
    /// Point io.Insights at this agent: print the settings, or write them into io.Connect's system.json.
    Setup(Setup),
}

#[derive(Debug, Args)]
pub(super) struct Setup {
    /// io.Connect's system.json. By default the one of the usual installation of this user.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Write the file; what was in it is kept beside it. Otherwise the new text is printed.
    #[arg(long)]
    write: bool,
}

/// `connect setup`.
pub(super) fn setup(common: &CommonArgs, setup: &Setup) -> anyhow::Result<ExitCode> {
    let receiver = common.settings(true)?.settings.receiver;
    if !receiver.enabled {
        bail!("the agent takes nothing: its receiver is off (receiver.enabled)");
    }
    let address = address(common, &receiver)?;
    let token = receiver.token.as_ref().map(Secret::reveal);
    let Some(file) = setup.file.clone().or_else(default_system_json) else {
        if setup.write {
            bail!("io.Connect's system.json is not in the usual place; name it with --file");
        }
        print!("{}", with_insights_endpoint("{}\n", &address, token)?.text);
        return Ok(ExitCode::SUCCESS);
    };
    let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let changed = with_insights_endpoint(&text, &address, token);
    let UpdatedConfig { text: new, disabled } =
        changed.with_context(|| format!("{} cannot be changed", file.display()))?;
    for place in disabled {
        eprintln!("`{place}` is false in {}, and stays so: what it switches off is not sent.", file.display());
    }
    if !setup.write {
        print!("{new}");
    } else if new == text {
        println!("{} points at this agent already.", file.display());
    } else {
        let kept = replace(&file, &new).with_context(|| format!("{} could not be written", file.display()))?;
        println!("{} points at this agent from the next start of io.Connect on.", file.display());
        println!("What was in it is kept in {}.", kept.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the running agent takes OTLP; while none runs, where the settings want it. Says which.
fn address(common: &CommonArgs, receiver: &ReceiverSettings) -> anyhow::Result<String> {
    let data = common.data()?;
    let wanted = format!("http://127.0.0.1:{}", receiver.http_port);
    match block_on(async { Ok(ask(&data, &Request::Status).await) })? {
        Ok(Reply::Status(status)) => {
            let Some(here) = status.receiver.and_then(|receiver| receiver.http) else {
                bail!("the running agent takes nothing: its receiver is off, or cannot listen");
            };
            eprintln!("The running agent takes OTLP at {here}.");
            if here != wanted {
                eprintln!(
                    "The settings want another port (receiver.http_port): it may be another one after the next start."
                );
            }
            Ok(here)
        }
        Ok(reply) => bail!("the agent gave another answer: {reply:?}"),
        Err(AskError::NotRunning(_)) if receiver.http_port == 0 => {
            bail!(
                "the receiver takes another port at every start; give it one with receiver.http_port, or start the agent"
            )
        }
        Err(AskError::NotRunning(_)) => {
            eprintln!("No agent is running; the settings want {wanted}.");
            Ok(wanted)
        }
        Err(error) => Err(error.into()),
    }
}

/// Replaces a file in one step, with the rights that it had; returns where its old content is.
fn replace(file: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let mut kept = file.as_os_str().to_owned();
    kept.push(format!(".{}.bak", jiff::ZonedDateTime::now().strftime("%Y%m%d-%H%M%S")));
    let kept = PathBuf::from(kept);
    fs::copy(file, &kept)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(file)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(kept)
}
