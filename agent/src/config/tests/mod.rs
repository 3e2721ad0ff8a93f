//! Scenario: settings are loaded from a text, as if it were the user's file. These are the helpers.

mod any_text;
mod compatibility;
mod docs;
mod environment;
mod example;
mod file;
mod insights;
mod last_good;
mod layers;
mod policy;
#[cfg(unix)]
mod policy_file;
mod registry;
mod values;

use std::path::Path;

use super::*;

/// Returns inputs with only this text as the settings file, written to `folder`.
fn inputs(folder: &Path, text: &str) -> Inputs {
    let path = folder.join("config.json");
    std::fs::write(&path, text).unwrap();
    Inputs {
        file: FileChoice::Named(path),
        last_good: None,
        registry: Vec::new(),
        policy: None,
        system_json: None,
        environment: Vec::new(),
        flags: Vec::new(),
    }
}

/// Loads settings from these variables and flags, without a file.
fn without_file(environment: &[(&str, &str)], flags: &[&str]) -> Result<Loaded, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    load(&Inputs {
        file: FileChoice::Default("not/there/config.json".into()),
        last_good: None,
        registry: Vec::new(),
        policy: None,
        system_json: None,
        environment,
        flags,
    })
}

/// Returns the error of this text, which must be invalid.
fn error_of(text: &str) -> ConfigError {
    super::file::parse(Path::new("config.json"), text.to_owned()).err().unwrap()
}

/// Returns the error without the list of allowed settings, which a new setting would change.
fn without_allowed(error: &impl ToString) -> String {
    let text = error.to_string();
    let lines = text.lines().map(|line| match line.split_once("allowed are: ") {
        Some((before, _)) => format!("{before}allowed are: [...]"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
