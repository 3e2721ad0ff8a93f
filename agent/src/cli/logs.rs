//! `logs`: sharing of log files, and where they are.

use std::process::ExitCode;

use anyhow::bail;
use insights_agent::agent::consent_service::ConsentService;
use insights_agent::consent::{Consent, LogKind};
use insights_agent::control::{Contact, Reply, Request, ask_or_lock};
use insights_agent::ioconnect::folders;
use insights_agent::startup::CommonArgs;

use super::{block_on, unexpected};

/// `logs share on` and `logs share off`: through the running agent, otherwise for its next start.
pub(super) fn share(common: &CommonArgs, kinds: &[LogKind], shared: bool) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let request = Request::ShareLogs { kinds: kinds.to_vec(), shared };
    let deleted = match block_on(async { Ok(ask_or_lock(&data, &request).await?) })? {
        Contact::Agent(reply) => match *reply {
            Reply::LogsShared { deleted } => deleted,
            Reply::Failed { why } => bail!("{why}"),
            reply => bail!(unexpected(&reply)),
        },
        Contact::NotRunning(_lock) => {
            let policy = common.settings(true)?.settings.policy;
            let service = ConsentService::without_agent(&data, policy);
            block_on(async { Ok(service.share_logs(kinds, shared).await?) })?
        }
    };
    let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ");
    if shared {
        println!(
            "Sharing {names} logs: lines written from now on are sent to the collector. To stop, run `insights-agent logs share off`."
        );
    } else {
        println!("No longer sharing {names} logs. {deleted} queued records were deleted.");
    }
    Ok(ExitCode::SUCCESS)
}

/// `logs share status`.
pub(super) fn show_sharing(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let consent = Consent::load(&common.data()?.consent());
    for kind in LogKind::ALL {
        let decided = consent.decision(kind).map(|decision| format!(", decided {}", decision.at));
        let shared = if consent.shares(kind) { "shared" } else { "not shared" };
        println!("{:<14}{shared}{}", kind.name(), decided.unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// `logs folders`.
pub(super) fn show_folders(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let loaded = common.settings(false)?;
    let roots = folders::user_data(&loaded.settings.connect);
    let found = folders::log_folders(&roots);
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else if found.is_empty() {
        println!("No io.Connect log folders found. Searched:");
        for root in roots {
            println!("  {}", root.display());
        }
        println!("If io.Connect writes its logs elsewhere, set connect.user_data to that folder.");
    } else {
        for folder in found {
            println!("{:<14}{:<20}{}", folder.kind.name(), folder.env_region, folder.path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
