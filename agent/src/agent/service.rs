//! An agent that follows its settings while it runs.
//!
//! Every [`LOOK_INTERVAL`] the settings are put together anew. When they have changed the agent is stopped and started with the
//! new ones, so that every setting has its effect in one and the same way; nothing is lost, for stopping keeps everything. New
//! settings that cannot be used change nothing: the old ones stay in force, and the status says what is wrong.

use std::time::Duration;

use super::{Agent, StartError};
use crate::config::{Loaded, Settings};
use crate::launch::{LaunchError, Options};
use crate::paths::DataDir;
use crate::pipeline::exporter::Clients;
use crate::program_log;

/// Whoever saves the settings file looks for an effect after some seconds; looking takes a millisecond.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What was done about settings that cannot be used.
const UNCHANGED: &str = "so: the settings stay as they were";

/// A running agent, what it was started with, and where that comes from.
#[derive(Debug)]
pub struct Service {
    agent: Agent,
    loaded: Loaded,
    options: Options,
    data: DataDir,
    /// Settings with which no agent could be started.
    unusable: Option<Box<Settings>>,
}

impl Service {
    /// Starts the agent, on the current tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: Options, data: DataDir, loaded: Loaded) -> Result<Self, StartError> {
        let agent = started(&loaded, &data)?;
        Ok(Self { agent, loaded, options, data, unusable: None })
    }

    /// The agent as it runs now.
    #[must_use]
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Completes when the settings have changed, with the new ones. What is wrong with them meanwhile is shown in the status.
    pub async fn changed(&self) -> Loaded {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let options = self.options.clone();
            match tokio::task::spawn_blocking(move || options.settings(true)).await {
                Ok(Ok(new)) => {
                    let is_same = new.settings == self.loaded.settings;
                    if is_same || self.unusable.as_deref() == Some(&new.settings) {
                        if is_same {
                            self.agent.tell_settings(&new);
                        }
                        continue;
                    }
                    let collector = new.settings.collector.clone();
                    // Certificates and passwords may lie where reading takes time.
                    match tokio::task::spawn_blocking(move || Clients::new(&collector).map(drop)).await {
                        Ok(Ok(())) => return new,
                        Err(error) => tracing::error!(%error, "the new settings could not be tried"),
                        Ok(Err(error)) => self.agent.tell_problem(format!("{error}\n  = {UNCHANGED}")),
                    }
                }
                Ok(Err(error)) => {
                    let what = match error {
                        LaunchError::Settings(error) => error.to_string(),
                        LaunchError::NoDataFolder | LaunchError::NoSettingsFolder => error.to_string(),
                    };
                    self.agent.tell_problem(format!("{what}\n  = {UNCHANGED}"));
                }
                Err(_) => tracing::error!("the settings could not be looked at"),
            }
        }
    }

    /// Starts the agent again with these settings; if that fails, with the old ones.
    ///
    /// # Errors
    /// When it cannot be started with the old ones any more either.
    pub async fn follow(self, new: Loaded) -> Result<Self, StartError> {
        let Self { agent, loaded, options, data, .. } = self;
        tracing::info!("the settings have changed");
        agent.stop().await;
        match started(&new, &data) {
            Ok(agent) => Ok(Self { agent, loaded: new, options, data, unusable: None }),
            Err(error) => {
                let agent = started(&loaded, &data)?;
                agent.tell_problem(format!(
                    "the agent could not be started with the new settings: {error}\n  = {UNCHANGED}"
                ));
                Ok(Self { agent, loaded, options, data, unusable: Some(Box::new(new.settings)) })
            }
        }
    }

    /// Ends the agent; what could not be sent is on disk when this returns.
    pub async fn stop(self) {
        self.agent.stop().await;
    }
}

fn started(loaded: &Loaded, data: &DataDir) -> Result<Agent, StartError> {
    program_log::set_level(loaded.settings.program_log.level);
    let agent = Agent::start(loaded, data)?;
    if let Err(error) = loaded.keep_as_last_good() {
        tracing::warn!(%error, "a copy of the settings could not be kept");
    }
    for problem in &loaded.problems {
        tracing::warn!("{problem}");
    }
    Ok(agent)
}
