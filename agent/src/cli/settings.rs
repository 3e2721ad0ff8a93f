//! `config`, and the settings of every other command.

use std::process::ExitCode;

use anyhow::Context;
use insights_agent::config::{self, FileChoice, Inputs, Loaded};
use insights_agent::paths;

use super::Common;

/// Puts the settings together from the file, the environment and the flags.
pub(super) fn load(common: &Common, keep_last_good: bool) -> anyhow::Result<Loaded> {
    let file = match &common.config {
        Some(file) => FileChoice::Named(file.clone()),
        None => FileChoice::Default(
            paths::user_config_file().context("this user has no home folder; name a settings file with --config")?,
        ),
    };
    let last_good = if keep_last_good { Some(common.data()?.last_good_settings()) } else { None };
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let inputs = Inputs { file, last_good, environment: environment.collect(), flags: common.set.clone() };
    Ok(config::load(&inputs)?)
}

/// `config show`.
pub(super) fn show(common: &Common, json: bool) -> anyhow::Result<ExitCode> {
    let loaded = load(common, false)?;
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
pub(super) fn check(common: &Common) -> anyhow::Result<ExitCode> {
    let loaded = load(common, false)?;
    for problem in &loaded.problems {
        eprintln!("{problem}");
    }
    if loaded.problems.is_empty() {
        println!("The settings are without fault.");
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
