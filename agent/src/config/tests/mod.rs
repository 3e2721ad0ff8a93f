//! What the tests share: settings from a text, as if it were the user's file.

mod docs;
mod environment;
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

/// The text as a file of its own folder, with nothing else around it.
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

/// No file, only these variables and flags.
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

/// The error of this text, which must have one.
fn error_of(text: &str) -> ConfigError {
    super::file::parse(Path::new("config.json"), text.to_owned()).err().unwrap()
}
