//! `status`: the status of the running agent.

use std::process::ExitCode;

use anyhow::bail;
use insights_agent::control::{Reply, Request, ask};
use insights_agent::startup::CommonArgs;
use insights_agent::status::page;

use super::{block_on, unexpected};

/// Prints the status.
pub(super) fn show(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let reply = block_on(async { Ok(ask(&data, &Request::Status).await?) })?;
    let Reply::Status(status) = reply else { bail!(unexpected(&reply)) };
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", page(&status));
    }
    Ok(ExitCode::SUCCESS)
}
