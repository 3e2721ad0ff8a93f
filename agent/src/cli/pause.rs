//! `pause`: pauses the running agent, or resumes it.

use std::process::ExitCode;

use anyhow::bail;
use insights_agent::control::{Reply, Request, ask};
use insights_agent::pause::PauseFor;
use insights_agent::startup::CommonArgs;

use super::{block_on, unexpected};

/// Starts or ends a pause.
pub(super) fn pause(common: &CommonArgs, until: PauseFor) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    match block_on(async { Ok(ask(&data, &Request::Pause { until }).await?) })? {
        Reply::Paused { until_unix_ms: None } => println!("Not paused: the agent collects and sends data."),
        Reply::Paused { until_unix_ms: Some(until) } => {
            let until = jiff::Timestamp::from_millisecond(until)?.to_zoned_datetime(jiff::tz::TimeZone::system());
            println!("Paused until {}: nothing is measured, read or sent.", until.strftime("%Y-%m-%d %H:%M"));
        }
        Reply::Failed { why } => bail!("{why}"),
        reply => bail!(unexpected(&reply)),
    }
    Ok(ExitCode::SUCCESS)
}
