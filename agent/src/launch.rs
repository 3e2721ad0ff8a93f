//! What every program of the agent is started with, and how it gets from there to its settings.

#[cfg(windows)]
mod registry;

use std::path::PathBuf;

use crate::config::{self, ConfigError, FileChoice, Inputs, Loaded};
use crate::ioconnect::setup::usual_file;
use crate::paths::{self, DataDir};

/// The organisation's policy on Unix.
const POLICY: &str = "/etc/insights-agent/policy.json";

/// The options that all programs share.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Folder that holds the queue, the consent record and the agent's log.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Settings file, instead of the user's.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, as in `--set collector.endpoint=http://localhost:4317`. Can be given several times.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no place for data.
    #[error("this user has no home folder; name a folder with --data-dir")]
    NoDataFolder,
    /// There is no place for settings.
    #[error("this user has no home folder; name a settings file with --config")]
    NoSettingsFolder,
    /// The settings are wrong.
    #[error("the settings cannot be used")]
    Settings(#[from] ConfigError),
}

impl Options {
    /// The data folder.
    ///
    /// # Errors
    /// When none is named and the user has no home.
    pub fn data(&self) -> Result<DataDir, LaunchError> {
        match &self.data_dir {
            Some(path) => Ok(DataDir::new(path.clone())),
            None => DataDir::of_user().ok_or(LaunchError::NoDataFolder),
        }
    }

    /// Puts the settings together from the registry, the file, the environment and the flags. With `keep_last_good`, the last good copy
    /// of the file stands in for one that is broken.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub fn settings(&self, keep_last_good: bool) -> Result<Loaded, LaunchError> {
        let file = match &self.config {
            Some(file) => FileChoice::Named(file.clone()),
            None => FileChoice::Default(paths::user_config_file().ok_or(LaunchError::NoSettingsFolder)?),
        };
        let last_good = if keep_last_good { Some(self.data()?.last_good_settings()) } else { None };
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let environment = environment.collect();
        #[cfg(windows)]
        let registry = registry::read();
        #[cfg(not(windows))]
        let registry = Vec::new();
        let policy = cfg!(unix).then(|| PathBuf::from(POLICY));
        let (system_json, flags) = (usual_file(), self.set.clone());
        Ok(config::load(&Inputs { file, last_good, registry, policy, system_json, environment, flags })?)
    }

    /// The same options, for another program that is started with them.
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
