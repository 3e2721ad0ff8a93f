//! Commands that ask the running agent, or look at what it has left on disk.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use insights_agent::agent::consent_service::ConsentService;
use insights_agent::consent::{Consent, LogKind};
use insights_agent::control::{Contact, Reply, Request, ask, ask_or_lock};
use insights_agent::ioconnect::folders;
use insights_agent::otlp::Signal;
use insights_agent::paths::{LockError, user_config_file};
use insights_agent::pause::PauseFor;
use insights_agent::pipeline::queue;
use insights_agent::sources::processes::is_running;
use insights_agent::startup::CommonArgs;
use insights_agent::support_bundle::{self, Piece};
use insights_agent::{status, units};

use super::block_on;

/// Longest wait for the end of an agent: several times what it takes ([`insights_agent::agent::FLUSH_LIMIT`]).
const END_LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// `stop`.
pub(super) fn stop(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let reply = block_on(async { Ok((ask(&data, &Request::Status).await?, ask(&data, &Request::Shutdown).await?)) })?;
    let (Reply::Status(status), Reply::Done) = reply else { bail!("the agent gave another answer: {reply:?}") };
    let until = Instant::now() + END_LIMIT;
    // The program as well, whose files an installer replaces.
    while matches!(data.lock(), Err(LockError::Taken(_))) || is_running(status.process_id) {
        if Instant::now() > until {
            bail!("the agent has not ended within {} s", END_LIMIT.as_secs());
        }
        std::thread::sleep(LOOK);
    }
    println!("The agent has ended.");
    Ok(ExitCode::SUCCESS)
}

/// `delete-data`.
pub(super) fn delete_data(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    data.delete().with_context(|| format!("{} is not deleted", data.path().display()))?;
    println!("Deleted: {}", data.path().display());
    // What was named with an option may be others' as well.
    let settings = if common.data_dir.is_none() && common.config.is_none() { user_config_file() } else { None };
    if let Some(file) = settings.filter(|file| file.exists()) {
        std::fs::remove_file(&file).with_context(|| format!("{} could not be deleted", file.display()))?;
        // If somebody keeps something else there, it stays.
        let _ = file.parent().map(std::fs::remove_dir);
        println!("Deleted: {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// `status`.
pub(super) fn status(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let reply = block_on(async { Ok(ask(&data, &Request::Status).await?) })?;
    let Reply::Status(status) = reply else { bail!("the agent gave another answer: {reply:?}") };
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", status::page(&status));
    }
    Ok(ExitCode::SUCCESS)
}

/// `queue`.
pub(super) fn queue(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let stats = queue::inspect(&common.data()?.queue())?;
    if json {
        println!("{}", serde_json::to_string_pretty(&stats)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<10}{:>10}{:>12}{:>12}  oldest", "", "requests", "items", "size");
    for signal in Signal::ALL {
        let of = stats.of(signal);
        let oldest = of.oldest_unix_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let oldest = oldest
            .map(|at| at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string());
        println!(
            "{:<10}{:>10}{:>12}{:>12}  {}",
            signal.name(),
            of.batches,
            of.items,
            units::bytes(of.bytes),
            oldest.unwrap_or_default()
        );
    }
    for (name, items) in &stats.counters {
        println!("{name}: {items}");
    }
    for file in &stats.quarantined {
        println!("{}, {}: {}", file.reason.description(), units::bytes(file.bytes), file.path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// `logs share on` and `logs share off`: through the running agent, else for the next one.
pub(super) fn share(common: &CommonArgs, kinds: &[LogKind], shared: bool) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let request = Request::ShareLogs { kinds: kinds.to_vec(), shared };
    let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ");
    match block_on(async { Ok(ask_or_lock(&data, &request).await?) })? {
        Contact::Agent(reply) => match *reply {
            Reply::LogsShared { deleted } => tell(&names, shared, deleted),
            Reply::Failed { why } => bail!("{why}"),
            reply => bail!("the agent gave another answer: {reply:?}"),
        },
        Contact::NotRunning(_lock) => {
            let policy = common.settings(true)?.settings.policy;
            let service = ConsentService::without_agent(&data, policy);
            let deleted = block_on(async { Ok(service.share_logs(kinds, shared).await?) })?;
            tell(&names, shared, deleted);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(names: &str, shared: bool, deleted: u64) {
    if shared {
        println!(
            "Logs of {names} are shared: lines written from now on go to the collector. `insights-agent logs share off` ends it."
        );
    } else {
        println!("Logs of {names} are not shared any more. {deleted} records that waited were deleted.");
    }
}

/// `pause`.
pub(super) fn pause(common: &CommonArgs, until: PauseFor) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    match block_on(async { Ok(ask(&data, &Request::Pause { until }).await?) })? {
        Reply::Paused { until_unix_ms: None } => println!("No pause: data is collected and sent."),
        Reply::Paused { until_unix_ms: Some(until) } => {
            let until = jiff::Timestamp::from_millisecond(until)?.to_zoned_datetime(jiff::tz::TimeZone::system());
            println!("Nothing is measured, read or sent until {}.", until.strftime("%Y-%m-%d %H:%M"));
        }
        Reply::Failed { why } => bail!("{why}"),
        reply => bail!("the agent gave another answer: {reply:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// `bundle`.
pub(super) fn bundle(common: &CommonArgs, file: Option<PathBuf>, preview: bool) -> anyhow::Result<ExitCode> {
    let pieces = block_on(async { Ok(support_bundle::collect(common).await?) })?;
    if preview {
        for Piece { name, text } in &pieces {
            println!("== {name} ({})\n{text}", units::bytes(text.len() as u64));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let file = file.unwrap_or_else(|| support_bundle::file_name().into());
    support_bundle::write(&file, &pieces)?;
    println!("Saved {}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// `logs share status`.
pub(super) fn sharing(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let consent = Consent::load(&common.data()?.consent());
    for kind in LogKind::ALL {
        let decided = consent.decision(kind).map(|decision| format!(", decided {}", decision.at));
        let shared = if consent.shares(kind) { "shared" } else { "not shared" };
        println!("{:<14}{shared}{}", kind.name(), decided.unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// `logs folders`.
pub(super) fn folders(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let loaded = common.settings(false)?;
    let roots = folders::user_data(&loaded.settings.connect);
    let found = folders::log_folders(&roots);
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else if found.is_empty() {
        println!("No log folders of io.Connect were found. Looked in:");
        for root in roots {
            println!("  {}", root.display());
        }
        println!("Another place can be named by the setting connect.user_data.");
    } else {
        for folder in found {
            println!("{:<14}{:<20}{}", folder.kind.name(), folder.env_region, folder.path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
