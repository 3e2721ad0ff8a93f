//! Command-line options that all programs of the agent share, and how they lead to the settings.

#[cfg(windows)]
mod registry;

use std::path::PathBuf;

use crate::config::{self, ConfigError, FileChoice, Inputs, Loaded};
use crate::ioconnect::setup::default_system_json;
use crate::paths::{self, DataDir};

/// The organisation's policy file on Linux.
const POLICY_FILE: &str = "/etc/insights-agent/policy.json";

/// The command-line options that all programs share.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct CommonArgs {
    /// Data folder: holds the queue, the consent record and the agent's log.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Settings file to use instead of the user's.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one setting, for example `--set collector.endpoint=http://localhost:4317`. Repeatable.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Why a program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// No data folder is given and the user has no home folder.
    #[error("this user has no home folder; set the data folder with --data-dir")]
    NoDataFolder,
    /// No settings file is given and the user has no home folder.
    #[error("this user has no home folder; set the settings file with --config")]
    NoSettingsFolder,
    /// The settings are invalid.
    #[error("the settings are invalid")]
    Settings(#[from] ConfigError),
}

impl CommonArgs {
    /// Returns the data folder: the one of `--data-dir`, else the user's default.
    ///
    /// # Errors
    /// [`StartupError::NoDataFolder`] if `--data-dir` is not given and the user has no home folder.
    pub fn data(&self) -> Result<DataDir, StartupError> {
        match &self.data_dir {
            Some(path) => Ok(DataDir::new(path.clone())),
            None => DataDir::of_user().ok_or(StartupError::NoDataFolder),
        }
    }

    /// Loads the settings from the registry, the policy, the file, the environment and the flags.
    /// With `keep_last_good`, the last good copy of the file is used when the file is broken.
    ///
    /// # Errors
    /// See [`StartupError`].
    pub fn settings(&self, keep_last_good: bool) -> Result<Loaded, StartupError> {
        let file = match &self.config {
            Some(file) => FileChoice::Named(file.clone()),
            None => FileChoice::Default(paths::user_config_file().ok_or(StartupError::NoSettingsFolder)?),
        };
        let last_good = if keep_last_good { Some(self.data()?.last_good_settings()) } else { None };
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let environment = environment.collect();
        #[cfg(windows)]
        let registry = registry::read();
        #[cfg(not(windows))]
        let registry = Vec::new();
        let policy_file = || paths::test_override("INSIGHTS_POLICY_FILE").unwrap_or_else(|| PathBuf::from(POLICY_FILE));
        let policy = cfg!(unix).then(policy_file);
        let (system_json, flags) = (default_system_json(), self.set.clone());
        Ok(config::load(&Inputs { file, last_good, registry, policy, system_json, environment, flags })?)
    }

    /// Returns these options as arguments, for starting another program with the same options.
    #[must_use]
    pub fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = Vec::new();
        for (name, value) in [("--data-dir", &self.data_dir), ("--config", &self.config)] {
            if let Some(value) = value {
                arguments.extend([name.into(), value.clone().into_os_string()]);
            }
        }
        for set in &self.set {
            arguments.extend(["--set".into(), set.into()]);
        }
        arguments
    }
}
