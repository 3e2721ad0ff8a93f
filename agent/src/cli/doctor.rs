//! `doctor`: checks everything that delivery depends on.

use std::process::ExitCode;

use insights_agent::doctor::{examine, page};
use insights_agent::startup::CommonArgs;

use super::block_on;

/// `doctor`.
pub(super) fn doctor(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let checks = block_on(async { Ok(examine(common).await?) })?;
    let all_ok = checks.iter().all(|check| check.ok);
    if json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", page(&checks));
    }
    Ok(if all_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
