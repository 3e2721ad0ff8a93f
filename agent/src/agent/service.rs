//! An agent that follows its settings while it runs.
//!
//! The settings are loaded again every [`RELOAD_INTERVAL`]. When they have changed, the agent is
//! stopped and started with the new ones, so every setting takes effect in the same way; nothing is
//! lost, because a stop keeps everything on disk. New settings that cannot be used change nothing:
//! the old ones stay in force, and the status says what is wrong.

use std::time::Duration;

use super::{Agent, StartError};
use crate::config::{Loaded, Settings};
use crate::paths::DataDir;
use crate::pipeline::exporter::Clients;
use crate::program_log;
use crate::shutdown::shutdown_signal;
use crate::startup::{CommonArgs, StartupError};

/// Short enough that a user who saves the settings file sees the effect at once; loading takes a
/// millisecond.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// What the agent does about settings that cannot be used.
const UNCHANGED: &str = "note: the previous settings stay in use";

/// What a program shows of the agent while it runs: the tray, or nothing.
pub trait Frontend {
    /// Called once, after the first successful start.
    fn started(&mut self, agent: &Agent);

    /// Runs beside the agent, each time that it starts; completes when the user quits.
    fn run(&mut self, agent: &Agent, settings: &Settings) -> impl Future<Output = ()>;
}

/// The frontend of a program that shows nothing.
#[derive(Debug)]
pub struct Headless;

impl Frontend for Headless {
    fn started(&mut self, _: &Agent) {}

    async fn run(&mut self, _: &Agent, _: &Settings) {
        std::future::pending::<()>().await;
    }
}

/// A running agent, with what it was started from.
#[derive(Debug)]
pub struct Service {
    agent: Agent,
    loaded: Loaded,
    options: CommonArgs,
    data: DataDir,
    /// Settings with which no agent could be started.
    unusable: Option<Box<Settings>>,
}

impl Service {
    /// Runs the agent, on the current tokio runtime, until the system, another program or the user
    /// ends it. What could not be sent is on disk when this returns.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn run(
        options: CommonArgs,
        data: DataDir,
        loaded: Loaded,
        mut frontend: impl Frontend,
    ) -> Result<(), StartError> {
        // Before the start, so that a signal that arrives during it is not missed.
        let mut signal = std::pin::pin!(shutdown_signal().map_err(StartError::Signals)?);
        let mut service = Self::start(options, data, loaded)?;
        frontend.started(&service.agent);
        loop {
            let agent = &service.agent;
            let new = tokio::select! {
                () = frontend.run(agent, &service.loaded.settings) => break,
                () = &mut signal => break,
                () = agent.shutdown_requested() => break,
                new = service.changed() => new,
            };
            service = service.restart(new).await?;
        }
        service.agent.stop().await;
        Ok(())
    }

    fn start(options: CommonArgs, data: DataDir, loaded: Loaded) -> Result<Self, StartError> {
        let agent = started(&loaded, &data)?;
        Ok(Self { agent, loaded, options, data, unusable: None })
    }

    /// Completes when the settings have changed, with the new ones. Problems with them are shown in
    /// the status.
    async fn changed(&self) -> Loaded {
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let options = self.options.clone();
            match tokio::task::spawn_blocking(move || options.settings(true)).await {
                Ok(Ok(new)) => {
                    if new.settings == self.loaded.settings {
                        self.agent.control.status.report_settings(&new);
                    } else if self.unusable.as_deref() != Some(&new.settings) && self.is_usable(&new.settings).await {
                        return new;
                    }
                }
                Ok(Err(error)) => {
                    let what = match error {
                        StartupError::Settings(error) => error.to_string(),
                        StartupError::NoDataFolder | StartupError::NoSettingsFolder => error.to_string(),
                    };
                    self.report_problem(&what);
                }
                Err(_) => tracing::error!("loading the settings panicked"),
            }
        }
    }

    /// Returns whether clients can be built. Certificates and passwords may be on a slow network
    /// drive.
    async fn is_usable(&self, settings: &Settings) -> bool {
        let collector = settings.collector.clone();
        match tokio::task::spawn_blocking(move || Clients::new(&collector).map(drop)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.report_problem(&error.to_string()),
            Err(_) => tracing::error!("checking the new settings panicked"),
        }
        false
    }

    fn report_problem(&self, problem: &str) {
        self.agent.control.status.report_settings_problem(format!("{problem}\n  = {UNCHANGED}"));
    }

    /// Starts the agent again with new settings; if that fails, with the old ones.
    async fn restart(self, new: Loaded) -> Result<Self, StartError> {
        let Self { agent, loaded, options, data, .. } = self;
        tracing::info!("the settings have changed, restarting the agent's parts");
        agent.stop().await;
        match started(&new, &data) {
            Ok(agent) => Ok(Self { agent, loaded: new, options, data, unusable: None }),
            Err(error) => {
                let agent = started(&loaded, &data)?;
                let service = Self { agent, loaded, options, data, unusable: Some(Box::new(new.settings)) };
                service.report_problem(&format!("the agent could not be started with the new settings: {error}"));
                Ok(service)
            }
        }
    }
}

fn started(loaded: &Loaded, data: &DataDir) -> Result<Agent, StartError> {
    program_log::set_level(loaded.settings.program_log.level);
    let agent = Agent::start(loaded, data)?;
    if let Err(error) = loaded.keep_as_last_good() {
        tracing::warn!("failed to save a copy of the settings: {error:#}");
    }
    for problem in &loaded.problems {
        tracing::warn!("{problem}");
    }
    Ok(agent)
}
