//! `connect setup`: points io.Insights at this agent.

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

use super::{block_on, unexpected};

#[derive(Debug, Subcommand)]
pub(super) enum Connect {
    /// Point io.Insights at this agent: print the settings, or write them to io.Connect's
    /// system.json.
    Setup(Setup),
}

#[derive(Debug, Args)]
pub(super) struct Setup {
    /// io.Connect's system.json; by default that of this user's standard installation.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Write the file, and keep a backup beside it. Without this option the new text is printed.
    #[arg(long)]
    write: bool,
}

/// `connect setup`.
pub(super) fn setup(common: &CommonArgs, setup: &Setup) -> anyhow::Result<ExitCode> {
    let receiver = common.settings(true)?.settings.receiver;
    if !receiver.enabled {
        bail!("the receiver is off; turn on receiver.enabled");
    }
    let address = address(common, &receiver)?;
    let token = receiver.token.as_ref().map(Secret::reveal);
    let Some(file) = setup.file.clone().or_else(default_system_json) else {
        if setup.write {
            bail!("io.Connect's system.json was not found in the standard folder; set its path with --file");
        }
        print!("{}", with_insights_endpoint("{}\n", &address, token)?.text);
        return Ok(ExitCode::SUCCESS);
    };
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let changed = with_insights_endpoint(&text, &address, token);
    let UpdatedConfig { text: new, disabled } =
        changed.with_context(|| format!("failed to change {}", file.display()))?;
    for place in disabled {
        eprintln!("`{place}` is false in {} and is not changed: that telemetry will not be sent.", file.display());
    }
    if !setup.write {
        print!("{new}");
    } else if new == text {
        println!("{} already points at this agent.", file.display());
    } else {
        let backup = replace(&file, &new).with_context(|| format!("failed to write {}", file.display()))?;
        println!("Changed {}. Restart io.Connect to send to this agent.", file.display());
        println!("The previous content was saved to {}.", backup.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the address of the running agent's receiver; without an agent, the address in the
/// settings. Prints which one it is.
fn address(common: &CommonArgs, receiver: &ReceiverSettings) -> anyhow::Result<String> {
    let data = common.data()?;
    let wanted = format!("http://127.0.0.1:{}", receiver.http_port);
    match block_on(async { Ok(ask(&data, &Request::Status).await) })? {
        Ok(Reply::Status(status)) => {
            let Some(here) = status.receiver.and_then(|receiver| receiver.http) else {
                bail!("the receiver of the running agent is off, or cannot listen");
            };
            eprintln!("The running agent accepts OTLP at {here}.");
            if here != wanted {
                eprintln!(
                    "The configured port (receiver.http_port) is different: the address may change at the next start."
                );
            }
            Ok(here)
        }
        Ok(reply) => bail!(unexpected(&reply)),
        Err(AskError::NotRunning(_)) if receiver.http_port == 0 => {
            bail!("the receiver picks another port at every start; set receiver.http_port, or start the agent")
        }
        Err(AskError::NotRunning(_)) => {
            eprintln!("No agent is running; the configured address is {wanted}.");
            Ok(wanted)
        }
        Err(error) => Err(error.into()),
    }
}

/// Replaces a file atomically and keeps its permissions. Returns the path of the backup.
fn replace(file: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let mut backup = file.as_os_str().to_owned();
    backup.push(format!(".{}.bak", jiff::ZonedDateTime::now().strftime("%Y%m%d-%H%M%S")));
    let backup = PathBuf::from(backup);
    fs::copy(file, &backup)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(file)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(backup)
}
