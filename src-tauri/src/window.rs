//! The window: a client of the running agent, and of nothing else.
//!
//! Its pages are the files of `ui/`, built into the program. They can call the commands below and nothing more; what they
//! send is checked here (types, lengths) and once more by the agent.

#![allow(clippy::needless_pass_by_value, reason = "Tauri hands values over")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use anyhow::{Context, Result};
use clap::ValueEnum;
use insights_agent::config::Loaded;
use insights_agent::consent::LogKind;
use insights_agent::control::{Reply, Request, ask};
use insights_agent::paths::DataDir;
use insights_agent::redaction::{Redactor, UserIdentity};
use insights_agent::sources::logs::preview::{self, Latest};
use insights_agent::startup::CommonArgs;
use insights_agent::support_bundle::{self, Piece};
use parking_lot::Mutex;
use serde::Serialize;
use tauri::{Manager, State, WebviewUrl, WebviewWindow, WebviewWindowBuilder};

/// Longest text to try the rules on.
const LONGEST_TEXT: usize = 64 << 10;
/// Size that shows every page without scrolling sideways, and the smallest that still can be used.
const SIZE: (f64, f64) = (960.0, 680.0);
const LEAST: (f64, f64) = (640.0, 480.0);

/// Pages of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Page {
    /// How it is.
    Overview,
    /// What this is, and whether logs may be shared.
    Welcome,
    /// What is sent.
    MyData,
    /// Sharing of logs.
    Logs,
    /// The collector and the settings.
    Connection,
    /// Versions.
    Help,
}

/// What the commands work on.
struct Desk {
    options: CommonArgs,
    data: DataDir,
    loaded: Loaded,
    redactor: Redactor,
    /// What the user has looked at, and would save.
    bundle: Mutex<Vec<Piece>>,
}

/// Shows the window until it is closed.
pub(crate) fn run(options: &CommonArgs, page: Page) -> Result<()> {
    #[cfg(target_os = "linux")]
    gtk::init().context(crate::NO_DISPLAY)?;
    let loaded = options.settings(true)?;
    let redactor = Redactor::new(&loaded.settings.logs.redaction, &UserIdentity::current());
    let desk = Desk { options: options.clone(), data: options.data()?, loaded, redactor, bundle: Mutex::default() };
    let first = page.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    tauri::Builder::default()
        .manage(desk)
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
                .min_inner_size(LEAST.0, LEAST.1)
                .on_navigation(|url| {
                    matches!((url.scheme(), url.host_str()), ("tauri", _) | ("http", Some("tauri.localhost")))
                })
                .build()?;
            std::thread::Builder::new().name("orders".to_owned()).spawn(move || obey(&window))?;
            Ok(())
        })
        .run(tauri::generate_context!())
        .context(crate::NO_DISPLAY)
}

/// Does what the tray says, as long as it says something.
fn obey(window: &WebviewWindow) {
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

/// Asks the running agent; what cannot be done is said in a sentence.
#[tauri::command]
async fn ask_agent(desk: State<'_, Desk>, request: Request) -> Result<Reply, String> {
    match ask(&desk.data, &request).await {
        Ok(Reply::Failed { why }) => Err(why),
        Ok(reply) => Ok(reply),
        Err(error) => Err(error.to_string()),
    }
}

/// The last log records of a kind as they would be sent, read because the user wants to see them.
#[tauri::command]
async fn preview_logs(app: tauri::AppHandle, kind: LogKind) -> Result<Latest, String> {
    let read = move || {
        let desk = app.state::<Desk>();
        preview::latest(kind, &desk.loaded.settings, &desk.redactor)
    };
    tauri::async_runtime::spawn_blocking(read)
        .await
        .map_err(|error| format!("the log files could not be read: {error}"))
}

/// A text with everything hidden that the rules find.
#[derive(Debug, Serialize)]
struct Redacted {
    text: String,
    hidden: BTreeMap<String, u64>,
}

#[tauri::command]
fn redact(desk: State<'_, Desk>, text: &str) -> Result<Redacted, String> {
    if text.len() > LONGEST_TEXT {
        return Err(format!("The text is longer than {} KiB.", LONGEST_TEXT >> 10));
    }
    let mut hidden = BTreeMap::new();
    let text = desk.redactor.redact_counting(text, &mut hidden).into_owned();
    Ok(Redacted { text, hidden })
}

/// Puts a diagnostics bundle together, for a look into it before it is saved.
#[tauri::command]
async fn preview_bundle(desk: State<'_, Desk>) -> Result<Vec<Piece>, String> {
    let pieces = support_bundle::collect(&desk.options).await.map_err(|error| error.to_string())?;
    desk.bundle.lock().clone_from(&pieces);
    Ok(pieces)
}

/// Saves the diagnostics bundle that was looked at, or a new one, among the user's downloads; returns where.
#[tauri::command]
async fn save_bundle(desk: State<'_, Desk>) -> Result<String, String> {
    let looked_at = std::mem::take(&mut *desk.bundle.lock());
    let pieces = if looked_at.is_empty() {
        support_bundle::collect(&desk.options).await.map_err(|error| error.to_string())?
    } else {
        looked_at
    };
    let dirs = directories::UserDirs::new().ok_or("This user has no home folder.")?;
    let folder = dirs.download_dir().filter(|folder| folder.is_dir()).unwrap_or_else(|| dirs.home_dir());
    let file = folder.join(support_bundle::file_name());
    support_bundle::write(&file, &pieces).map_err(|error| error.to_string())?;
    Ok(file.display().to_string())
}

/// Whether the program starts with the session, and whether the organisation has decided that.
#[derive(Debug, Serialize)]
struct Autostart {
    is_on: bool,
    is_set: bool,
}

#[tauri::command]
fn autostart(desk: State<'_, Desk>) -> Result<Autostart, String> {
    let is_on = insights_agent::autostart::is_on().map_err(|error| error.to_string())?;
    Ok(Autostart { is_on, is_set: desk.loaded.settings.policy.autostart.is_some() })
}

#[tauri::command]
fn set_autostart(desk: State<'_, Desk>, on: bool) -> Result<(), String> {
    if desk.loaded.settings.policy.autostart.is_some() {
        return Err("Your organisation has set this.".to_owned());
    }
    insights_agent::autostart::set(on).map_err(|error| error.to_string())
}

/// Marks of the rules in force.
#[tauri::command]
fn redaction_rules(desk: State<'_, Desk>) -> BTreeSet<String> {
    desk.redactor.rules().iter().map(|rule| rule.placeholder.clone()).collect()
}
