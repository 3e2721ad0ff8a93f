//! The window: a client of the running agent.
//!
//! Its pages are the files of `ui/`, which are built into the program. They can only call the
//! commands below. Everything they send is checked here (types, lengths) and again by the agent.
//! `ui/agent.js` is the other side of these commands.

#![allow(clippy::needless_pass_by_value, reason = "Tauri hands values over")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use anyhow::{Context, Result};
use clap::ValueEnum;
use insights_agent::config::Loaded;
use insights_agent::consent::LogKind;
use insights_agent::control::{AskError, Reply, Request, ask};
use insights_agent::paths::DataDir;
use insights_agent::redaction::{Redactor, UserIdentity};
use insights_agent::sources::logs::preview::{self, Latest};
use insights_agent::startup::CommonArgs;
use insights_agent::support_bundle::{self, BundleFile};
use parking_lot::Mutex;
use serde::Serialize;
use tauri::{Manager, State, WebviewUrl, WebviewWindow, WebviewWindowBuilder};

/// Maximum length of a text to try the redaction rules on, in bytes.
const MAX_REDACTION_BYTES: usize = 64 << 10;
/// Initial size of the window: no page scrolls sideways.
const SIZE: (f64, f64) = (960.0, 680.0);
/// Minimum size at which every page can still be used.
const MIN_SIZE: (f64, f64) = (640.0, 480.0);

/// Pages of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Page {
    /// State, charts of the last hour, today's apps.
    Overview,
    /// What the program does, and the question about log files.
    Welcome,
    /// The data that is sent and stored.
    MyData,
    /// Sharing of logs.
    Logs,
    /// The collector and the settings.
    Connection,
    /// Version, autostart, support file, licences.
    Help,
}

/// What the commands need.
struct WindowState {
    options: CommonArgs,
    data: DataDir,
    loaded: Loaded,
    redactor: Redactor,
    /// The bundle that the user has previewed: saving must write the same files.
    bundle: Mutex<Vec<BundleFile>>,
}

/// Shows the window until it is closed.
pub(crate) fn run(options: &CommonArgs, page: Page) -> Result<()> {
    #[cfg(target_os = "linux")]
    gtk::init().context(crate::NO_DISPLAY)?;
    let loaded = options.settings(true)?;
    let redactor = Redactor::new(&loaded.settings.logs.redaction, &UserIdentity::current());
    let state =
        WindowState { options: options.clone(), data: options.data()?, loaded, redactor, bundle: Mutex::default() };
    let first = page.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    tauri::Builder::default()
        .manage(state)
        .invoke_handler(tauri::generate_handler![
            ask_agent,
            preview_logs,
            redact,
            redaction_rules,
            preview_bundle,
            save_bundle,
            autostart,
            set_autostart
        ])
        .setup(move |app| {
            let window = WebviewWindowBuilder::new(app, "main", WebviewUrl::App(format!("index.html#{first}").into()))
                .title("Insights Agent")
                .inner_size(SIZE.0, SIZE.1)
                .min_inner_size(MIN_SIZE.0, MIN_SIZE.1)
                .on_navigation(|url| {
                    matches!((url.scheme(), url.host_str()), ("tauri", _) | ("http", Some("tauri.localhost")))
                })
                .build()?;
            std::thread::Builder::new().name("tray-commands".to_owned()).spawn(move || follow_tray(&window))?;
            Ok(())
        })
        .run(tauri::generate_context!())
        .context(crate::NO_DISPLAY)
}

/// Carries out the commands of the tray (see `window_process`) until its end of the pipe is closed.
fn follow_tray(window: &WebviewWindow) {
    for line in std::io::stdin().lock().lines() {
        let done = match line.as_deref() {
            Ok("show") => window.unminimize().and_then(|()| window.set_focus()),
            Ok("close") => window.close(),
            _ => return,
        };
        if done.is_err() {
            return;
        }
    }
}

/// Why the agent did not do what was asked.
#[derive(Debug, Serialize)]
struct AskFailure {
    /// `not_running` if there is no agent, otherwise `failed`.
    code: &'static str,
    /// A sentence for the user.
    message: String,
}

/// Sends a request to the running agent.
#[tauri::command]
async fn ask_agent(state: State<'_, WindowState>, request: Request) -> Result<Reply, AskFailure> {
    match ask(&state.data, &request).await {
        Ok(Reply::Failed { why }) => Err(AskFailure { code: "failed", message: why }),
        Ok(reply) => Ok(reply),
        Err(error) => {
            let code = if matches!(error, AskError::NotRunning(_)) { "not_running" } else { "failed" };
            Err(AskFailure { code, message: error.to_string() })
        }
    }
}

/// Reads the latest log records of a kind and returns them as they would be sent.
#[tauri::command]
async fn preview_logs(app: tauri::AppHandle, kind: LogKind) -> Result<Latest, String> {
    let read = move || {
        let state = app.state::<WindowState>();
        preview::latest(kind, &state.loaded.settings, &state.redactor)
    };
    tauri::async_runtime::spawn_blocking(read).await.map_err(|error| format!("the log files cannot be read: {error}"))
}

/// A text after redaction, and how often each rule matched.
#[derive(Debug, Serialize)]
struct Redacted {
    text: String,
    hidden: BTreeMap<String, u64>,
}

/// Applies the redaction rules to a text.
#[tauri::command]
fn redact(state: State<'_, WindowState>, text: &str) -> Result<Redacted, String> {
    if text.len() > MAX_REDACTION_BYTES {
        return Err(format!("the text is longer than {} KiB", MAX_REDACTION_BYTES >> 10));
    }
    let mut hidden = BTreeMap::new();
    let text = state.redactor.redact_counting(text, &mut hidden).into_owned();
    Ok(Redacted { text, hidden })
}

/// Collects a support bundle and returns its files, so that the user can read them before saving.
#[tauri::command]
async fn preview_bundle(state: State<'_, WindowState>) -> Result<Vec<BundleFile>, String> {
    let pieces = support_bundle::collect(&state.options).await.map_err(|error| error.to_string())?;
    state.bundle.lock().clone_from(&pieces);
    Ok(pieces)
}

/// Saves the support bundle that was previewed, or a new one, in the user's downloads folder.
/// Returns the path.
#[tauri::command]
async fn save_bundle(state: State<'_, WindowState>) -> Result<String, String> {
    let previewed = std::mem::take(&mut *state.bundle.lock());
    let pieces = if previewed.is_empty() {
        support_bundle::collect(&state.options).await.map_err(|error| error.to_string())?
    } else {
        previewed
    };
    let dirs = directories::UserDirs::new().ok_or("this user has no home folder")?;
    let folder = dirs.download_dir().filter(|folder| folder.is_dir()).unwrap_or_else(|| dirs.home_dir());
    let file = folder.join(support_bundle::file_name());
    support_bundle::write(&file, &pieces).map_err(|error| error.to_string())?;
    Ok(file.display().to_string())
}

/// Whether the program starts when the user signs in, and whether the organisation has set that.
#[derive(Debug, Serialize)]
struct Autostart {
    is_on: bool,
    is_set: bool,
}

/// Returns the state of autostart.
#[tauri::command]
fn autostart(state: State<'_, WindowState>) -> Result<Autostart, String> {
    let is_on = insights_agent::autostart::is_on().map_err(|error| error.to_string())?;
    Ok(Autostart { is_on, is_set: state.loaded.settings.policy.autostart.is_some() })
}

/// Turns autostart on or off.
#[tauri::command]
fn set_autostart(state: State<'_, WindowState>, on: bool) -> Result<(), String> {
    if state.loaded.settings.policy.autostart.is_some() {
        return Err("your organisation has set this".to_owned());
    }
    insights_agent::autostart::set(on).map_err(|error| error.to_string())
}

/// Returns the marks that the active redaction rules put in place of removed text.
#[tauri::command]
fn redaction_rules(state: State<'_, WindowState>) -> BTreeSet<String> {
    state.redactor.rules().iter().map(|rule| rule.placeholder.clone()).collect()
}
