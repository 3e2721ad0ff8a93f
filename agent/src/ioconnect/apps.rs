//! Maps a window to the io.Connect app that it belongs to.
//!
//! The windows of web apps belong to the main process of the platform, so the process does not
//! identify the app. The title does, if the settings or an app definition map titles to apps. A
//! native app is a process below the platform. All other windows belong to `other`. Window titles
//! are used here only; they are never stored or exported.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::processes::Role;
use crate::config::{AppRule, FocusSettings, Template};
use crate::glob;

/// Name of everything that is not part of io.Connect.
pub const OTHER: &str = "other";
/// Name of a platform window whose app is unknown.
pub const PLATFORM: &str = "platform";
/// Maximum number of app names. With more, each would be seen by few users and dashboards would
/// become unreadable. All further apps are named `other`.
const MAX_APP_NAMES: usize = 500;
/// Maximum size of an app definition file. Definitions are a few KiB; a larger file is something
/// else.
const MAX_DEFINITION_BYTES: u64 = 4 << 20;

/// The known properties of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowFacts<'a> {
    /// The window handle or id of the system.
    pub id: u64,
    /// The title.
    pub title: &'a str,
    /// The window class.
    pub class: &'a str,
    /// File name of the program, without `.exe`; empty if unknown.
    pub program: &'a str,
    /// Role of the window's process in io.Connect, if any.
    pub role: Option<Role>,
}

/// Names the app of each window.
#[derive(Debug)]
pub struct AppNamer {
    rules: Vec<AppRule>,
    definitions: Vec<Definition>,
    names: HashMap<String, Arc<str>>,
    /// The last known app of each window. A window keeps it while its title does not match any app.
    windows: HashMap<u64, Arc<str>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Definition {
    app: String,
    title: String,
    /// File name of the program of a native app, without `.exe`.
    program: Option<String>,
}

impl AppNamer {
    /// Reads the app definitions from the folders in the settings.
    #[must_use]
    pub fn new(settings: &FocusSettings) -> Self {
        let folders = settings.app_definitions.iter().map(Template::expand_env);
        let mut definitions: Vec<_> = folders.flat_map(|folder| read_definitions(Path::new(&folder))).collect();
        // Longest title first, so that the most specific definition wins.
        definitions.sort_by_key(|definition| std::cmp::Reverse(definition.title.len()));
        Self { rules: settings.apps.clone(), definitions, names: HashMap::new(), windows: HashMap::new() }
    }

    /// Returns the app of a window.
    pub fn name(&mut self, window: WindowFacts<'_>) -> Arc<str> {
        let Some(name) = self.match_app(&window).map(str::to_owned) else {
            return match (self.windows.get(&window.id), window.role) {
                (Some(known), Some(_)) => Arc::clone(known),
                (None, Some(Role::Native)) if !window.program.is_empty() => self.intern(window.program),
                (_, Some(_)) => PLATFORM.into(),
                (_, None) => OTHER.into(),
            };
        };
        let name = self.intern(&name);
        self.windows.insert(window.id, Arc::clone(&name));
        name
    }

    /// Forgets windows that no longer exist.
    pub fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        self.windows.retain(|id, _| is_there(*id));
    }

    fn match_app(&self, window: &WindowFacts<'_>) -> Option<&str> {
        let ruled = self.rules.iter().find(|rule| rule_matches(rule, window)).map(|rule| rule.app.as_str());
        ruled.or_else(|| {
            let role = window.role?;
            let definition = self.definitions.iter().find(|definition| match &definition.program {
                Some(program) => role == Role::Native && program.eq_ignore_ascii_case(window.program),
                None => role != Role::Native && is_default_title(window.title, &definition.title),
            });
            definition.map(|definition| definition.app.as_str())
        })
    }

    fn intern(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= MAX_APP_NAMES {
            return OTHER.into();
        }
        let new: Arc<str> = name.into();
        self.names.insert(name.to_owned(), Arc::clone(&new));
        new
    }
}

fn rule_matches(rule: &AppRule, window: &WindowFacts<'_>) -> bool {
    let glob =
        |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, text));
    let is_candidate = rule.process.is_some() || window.role.is_some();
    is_candidate
        && glob(&rule.process, window.program)
        && glob(&rule.class, window.class)
        && rule.title.as_ref().is_none_or(|title| title.regex().is_match(window.title))
}

/// Returns whether `title` is a default title of the platform: the title of the definition,
/// optionally followed by a suffix that distinguishes instances.
fn is_default_title(title: &str, definition: &str) -> bool {
    let rest = title.strip_prefix(definition);
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// The parts of an app definition that are needed to name an app (docs.interop.io, schema of
/// application definitions: `name`, `title`, `details.path`, `details.command`).
#[derive(Deserialize)]
struct RawDefinition {
    name: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    command: Option<String>,
    #[serde(default)]
    path: Option<String>,
}

fn read_definitions(folder: &Path) -> Vec<Definition> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), "failed to read the app definitions: {error:#}");
            return Vec::new();
        }
    };
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let json = files.filter(|file| file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")));
    json.flat_map(|file| {
        definitions(&file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), "failed to read an app definition: {error:#}");
            Vec::new()
        })
    })
    .collect()
}

fn definitions(file: &Path) -> std::io::Result<Vec<Definition>> {
    if file.metadata()?.len() > MAX_DEFINITION_BYTES {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    let mut text = std::fs::read_to_string(file)?;
    json_strip_comments::strip(&mut text)?;
    let found = match serde_json::from_str(text.trim_start_matches('\u{feff}'))? {
        serde_json::Value::Array(items) => items,
        single => vec![single],
    };
    // Values that are not app definitions are skipped.
    let raw = found.into_iter().filter_map(|value| serde_json::from_value::<RawDefinition>(value).ok());
    Ok(raw.map(definition).collect())
}

fn definition(raw: RawDefinition) -> Definition {
    let program = raw.details.command.or(raw.details.path).map(|path| {
        let file = path.rsplit(['/', '\\']).next().unwrap_or_default().trim_matches('"').to_owned();
        super::processes::without_exe(&file).to_owned()
    });
    Definition {
        title: raw.title.filter(|title| !title.is_empty()).unwrap_or_else(|| raw.name.clone()),
        app: raw.name,
        program: program.filter(|program| !program.is_empty()),
    }
}

#[cfg(test)]
mod tests;
