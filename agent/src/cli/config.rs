//! `config`: shows and checks the settings.

use std::process::ExitCode;

use insights_agent::config;
use insights_agent::startup::CommonArgs;

/// `config show`.
pub(super) fn show(common: &CommonArgs, json: bool) -> anyhow::Result<ExitCode> {
    let loaded = common.settings(false)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&loaded.show_json())?);
    } else {
        print!("{}", loaded.show());
    }
    for problem in &loaded.problems {
        eprintln!("{problem}");
    }
    Ok(ExitCode::SUCCESS)
}

/// `config check`.
pub(super) fn check(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let loaded = common.settings(false)?;
    for problem in &loaded.problems {
        eprintln!("{problem}");
    }
    if loaded.problems.is_empty() {
        println!("The settings are valid.");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::from(2))
    }
}

/// `config schema`.
pub(super) fn schema() -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(&config::json_schema())?);
    Ok(ExitCode::SUCCESS)
}
