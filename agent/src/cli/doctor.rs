//! `doctor`: what is wrong, and what to do.

use std::process::ExitCode;

use insights_agent::doctor::{examine, page};
use insights_agent::startup::CommonArgs;

use super::block_on;

/// `doctor`.
pub(super) fn doctor(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let checks = block_on(async { Ok(examine(common).await?) })?;
    let all_good = checks.iter().all(|check| check.good);
    if json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", page(&checks));
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
