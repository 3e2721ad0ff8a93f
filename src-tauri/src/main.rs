//! The agent with its icon in the system tray.
//!
//! The main thread belongs to the window system. The agent runs on a thread of its own with a
//! single-threaded runtime. It stops first: when this program has to end, collected data is on disk
//! before the icon disappears.
//!
//! | module | what it does |
//! |---|---|
//! | `model` | what the tray shows, as a pure function of the status |
//! | `tray` | connects model and agent |
//! | `tauri_tray` | draws the tray with Tauri |
//! | `window_process` | starts the window in a process of its own |
//! | `window` | the window: its pages are in `ui/` |

#![cfg_attr(windows, windows_subsystem = "windows")]

mod model;
mod tauri_tray;
mod tray;
mod window;
mod window_process;

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
use crate::tauri_tray::TauriTray;
use crate::window::Page;
use crate::window_process::WindowProcess;

/// The error without a usable display.
const NO_DISPLAY: &str = "no usable display; `insights-agent run` collects and delivers without one";

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
    /// Opens the window of the running agent.
    Window {
        /// Opens another window at this page. Without it, a window that is already open comes to
        /// the front.
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
    // Before the log is opened, the data folder is locked and released: a second agent must not
    // rotate the log of the first one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if runtime.block_on(is_running(&data)) {
        return show_running(&options, &data);
    }
    match data.lock_or_wait() {
        Ok(lock) => drop(lock),
        // Users who start the program a second time expect to see something.
        Err(LockError::Taken(_)) => return show_running(&options, &data),
        Err(error) => return Err(error.into()),
    }
    if let Err(error) = program_log::start(&data.program_log(), loaded.settings.program_log.level, true) {
        tracing::error!("failed to open the agent's log: {error:#}");
    }
    // Without a display Tauri panics, GTK reports an error.
    #[cfg(target_os = "linux")]
    gtk::init().context(NO_DISPLAY)?;
    #[cfg(windows)]
    if options == CommonArgs::default()
        && let Err(error) = insights_agent::shutdown::register_restart_after_update()
    {
        tracing::debug!("failed to register for a restart after an update of Windows: {error:#}");
    }
    let (action_sender, actions) = unbounded_channel();
    let app = tauri::Builder::default()
        .on_menu_event({
            let sender = action_sender.clone();
            move |_, event| {
                if let Some(action) = Action::from_id(event.id().as_ref()) {
                    // An error means that the agent is stopping.
                    let _ = sender.send(action);
                }
            }
        })
        .build(tauri::generate_context!())
        .context(NO_DISPLAY)?;
    let view = TauriTray::new(app.handle().clone(), WindowProcess::new(&options));
    let agent = start(options, loaded, data, view, actions)?;
    let mut agent = AgentThread { thread: Mutex::new(Some(agent)), actions: action_sender };
    let code = app.run_return(move |_, event| match event {
        // Tauri exits when no window is open, but this program runs without one.
        RunEvent::ExitRequested { api, code: None, .. } => api.prevent_exit(),
        RunEvent::Exit => agent.stop(),
        _ => {}
    });
    std::process::exit(code)
}

/// Asks the running agent to show its window. An agent without a tray cannot: then this program
/// shows it.
fn show_running(options: &CommonArgs, data: &DataDir) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(ask(data, &Request::OpenWindow)) {
        Ok(Reply::Done) => Ok(()),
        _ => window::run(options, Page::Overview),
    }
}

/// The agent's thread, and the channel that stops it.
struct AgentThread {
    thread: Mutex<Option<JoinHandle<()>>>,
    actions: UnboundedSender<Action>,
}

impl AgentThread {
    /// Stops the agent and waits until its data is on disk.
    fn stop(&mut self) {
        let _ = self.actions.send(Action::Quit);
        let thread = self.thread.get_mut().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("agent thread panicked");
        }
    }
}

/// Starts the agent on a thread of its own, which exits the program when the agent has stopped.
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
        let run = async { anyhow::Ok(Box::pin(Service::run(options, data, loaded, frontend)).await?) };
        if let Err(error) = runtime.block_on(run) {
            let _ = started.send(Err(error));
        }
        app.exit(0);
    })?;
    wait.recv().map_err(|_| anyhow!("the agent's thread ended during its start"))??;
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
