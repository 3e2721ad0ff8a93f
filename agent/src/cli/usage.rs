//! `usage`: the usage history of the last days.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use insights_agent::control::{AskError, Reply, Request, ask};
use insights_agent::startup::CommonArgs;
use insights_agent::usage::{DAYS, Day, Usage};

use super::{block_on, unexpected};

/// Prints the history: of the running agent, or the stored one.
pub(super) fn show(common: &CommonArgs, week: bool, json: bool) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let days = if week { DAYS } else { 1 };
    let day = match block_on(async { Ok(ask(&data, &Request::Usage { days }).await) })? {
        Ok(Reply::Usage(day)) => day,
        Ok(reply) => bail!(unexpected(&reply)),
        Err(AskError::NotRunning(_)) => Usage::load(&data.usage()).total(jiff::ZonedDateTime::now().date(), days),
        Err(error) => return Err(error.into()),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&day)?);
    } else {
        print(&day);
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes the history.
pub(super) fn delete(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    match block_on(async { Ok(ask(&data, &Request::DeleteHistory).await) })? {
        Ok(Reply::Done) => {}
        Ok(reply) => bail!(unexpected(&reply)),
        Err(AskError::NotRunning(_)) => {
            let mut usage = Usage::load(&data.usage());
            usage.days.clear();
            if data.usage().exists() {
                usage.store(&data.usage())?;
            }
        }
        Err(error) => return Err(error.into()),
    }
    println!("The usage history was deleted.");
    Ok(ExitCode::SUCCESS)
}

fn print(day: &Day) {
    if day.states.is_empty() {
        println!("No usage was recorded.");
        return;
    }
    for (state, seconds) in &day.states {
        println!("{:<24}{:>10}", state.name(), time(*seconds));
    }
    println!("\n{:<24}{:>10}{:>10}{:>8}", "app", "in front", "switches", "starts");
    for (name, app) in day.ranking() {
        println!("{name:<24}{:>10}{:>10}{:>8}", time(app.focus_seconds), app.switches, app.starts);
    }
}

/// Formats seconds as hours, minutes and seconds.
fn time(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds.round()).unwrap_or_default().as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
