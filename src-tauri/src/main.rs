//! The agent with its icon in the system tray.
//!
//! The main thread belongs to the window system. The agent runs on a thread of its own, with a runtime of one thread, and
//! ends first: when this program is asked to end, what is collected is on disk before the icon goes.

#![cfg_attr(windows, windows_subsystem = "windows")]

mod model;
mod opener;
mod tray;
mod view;
mod window;

use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use insights_agent::agent::{Agent, Frontend, Service};
use insights_agent::autostart;
use insights_agent::config::{Loaded, Settings};
use insights_agent::control::{Reply, Request, ask, is_running};
use insights_agent::paths::{DataDir, LockError};
use insights_agent::startup::CommonArgs;
use insights_agent::{priority, program_log};
use parking_lot::Mutex;
use tauri::RunEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::model::Action;
use crate::opener::Opener;
use crate::view::TauriTray;
use crate::window::Page;

/// What to say where nothing can be drawn.
const NO_DISPLAY: &str =
    "there is no display, or none that this program can use; `insights-agent run` collects and delivers without one";

/// Insights Agent with its icon in the system tray.
#[derive(Debug, Parser)]
#[command(name = "insights-tray", version)]
struct Arguments {
    #[command(flatten)]
    options: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Only the window, for an agent that runs.
    Window {
        /// Another window, that shows this first; without it, one that is open comes to the front.
        #[arg(long, value_enum)]
        page: Option<Page>,
    },
}

fn main() -> Result<()> {
    let Arguments { options, command } = Arguments::parse();
    if let Some(Command::Window { page }) = command {
        return match page {
            Some(page) => window::run(&options, page),
            None => show_running(&options, &options.data()?),
        };
    }
    priority::lower();
    let data = options.data()?;
    let loaded = options.settings(true)?;
    // Asked, taken and given back before the log is opened: a second agent must not turn over the log of the first.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if runtime.block_on(is_running(&data)) {
        return show_running(&options, &data);
    }
    match data.take() {
        Ok(lock) => drop(lock),
        // Whoever starts the program a second time wants to see something.
        Err(LockError::Taken(_)) => return show_running(&options, &data),
        Err(error) => return Err(error.into()),
    }
    if let Err(error) = program_log::start(&data.program_log(), loaded.settings.program_log.level, true) {
        tracing::error!(%error, "the agent's log cannot be opened");
    }
    // Tauri would panic.
    #[cfg(target_os = "linux")]
    gtk::init().context(NO_DISPLAY)?;
    #[cfg(windows)]
    if options == CommonArgs::default()
        && let Err(error) = insights_agent::shutdown::register_restart_after_update()
    {
        tracing::debug!(%error, "Windows will not start this program again after an update");
    }
    let (choose, actions) = unbounded_channel();
    let app = tauri::Builder::default()
        .on_menu_event({
            let choose = choose.clone();
            move |_, event| {
                if let Some(action) = Action::from_id(event.id().as_ref()) {
                    // Nobody listens any more: the end has begun.
                    let _ = choose.send(action);
                }
            }
        })
        .build(tauri::generate_context!())
        .context(NO_DISPLAY)?;
    let view = TauriTray::new(app.handle().clone(), Opener::new(&options));
    let agent = start(options, loaded, data, view, actions)?;
    let mut running = Running { agent: Mutex::new(Some(agent)), choose };
    let code = app.run_return(move |_, event| match event {
        // There is no window, and none is needed.
        RunEvent::ExitRequested { api, code: None, .. } => api.prevent_exit(),
        RunEvent::Exit => running.end(),
        _ => {}
    });
    std::process::exit(code)
}

/// The agent that runs shows its window; if it is one without, this program does.
fn show_running(options: &CommonArgs, data: &DataDir) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(ask(data, &Request::OpenWindow)) {
        Ok(Reply::Done) => Ok(()),
        _ => window::run(options, Page::Overview),
    }
}

/// The agent's thread, and how to end it.
struct Running {
    agent: Mutex<Option<JoinHandle<()>>>,
    choose: UnboundedSender<Action>,
}

impl Running {
    fn end(&mut self) {
        let _ = self.choose.send(Action::Quit);
        let agent = self.agent.get_mut().take();
        if agent.is_some_and(|agent| agent.join().is_err()) {
            tracing::error!("the agent ended by a panic");
        }
    }
}

/// Starts the agent on a thread of its own, which ends the program when it is done.
fn start(
    options: CommonArgs,
    loaded: Loaded,
    data: DataDir,
    view: TauriTray,
    actions: UnboundedReceiver<Action>,
) -> Result<JoinHandle<()>> {
    let app = view.app();
    let (started, wait) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("agent".to_owned()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error.into()))),
        };
        let frontend = Tray { view, actions, started: started.clone() };
        let run = async { anyhow::Ok(Service::run(options, data, loaded, frontend).await?) };
        if let Err(error) = runtime.block_on(run) {
            let _ = started.send(Err(error));
        }
        app.exit(0);
    })?;
    wait.recv().map_err(|_| anyhow!("the agent's thread ended before it began"))??;
    Ok(thread)
}

/// The tray over the running agent.
struct Tray {
    view: TauriTray,
    actions: UnboundedReceiver<Action>,
    /// Tells the main thread that the agent has started.
    started: std::sync::mpsc::Sender<Result<()>>,
}

impl Frontend for Tray {
    fn started(&mut self, agent: &Agent) {
        // The main thread waits for it once.
        let _ = self.started.send(Ok(()));
        tray::welcome(agent, &mut self.view);
    }

    async fn run(&mut self, agent: &Agent, settings: &Settings) {
        if let Err(error) = autostart::apply_policy(settings.policy) {
            tracing::warn!("failed to apply the policy on autostart: {error:#}");
        }
        tray::run(agent, &mut self.view, &mut self.actions, agent.window_requests()).await;
    }
}
