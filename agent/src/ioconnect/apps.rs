//! Which app of io.Connect a window is.
//!
//! A web app's window belongs to the platform's main process, so its process does not name it: its title does, if the
//! settings or an app definition say which title an app has. A native app is a process below the platform. Whatever
//! belongs to neither is `other`. Titles are used here and go no further.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::processes::Role;
use crate::config::{AppRule, FocusSettings, Template};
use crate::glob;

/// Name of all that is not of io.Connect.
pub const OTHER: &str = "other";
/// Name of a window of the platform whose app is not known.
pub const PLATFORM: &str = "platform";
/// Most names: with more, each would be seen by hardly anyone, and dashboards drown. All further apps are `other`.
const MOST_NAMES: usize = 500;
/// Definitions are some KiB; what is larger is something else.
const LARGEST_DEFINITION: u64 = 4 << 20;

/// What is known of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The system's number of the window.
    pub id: u64,
    /// Its title.
    pub title: &'a str,
    /// Its class.
    pub class: &'a str,
    /// File name of its program, without `.exe`; empty if unknown.
    pub program: &'a str,
    /// What its process is to io.Connect, if anything.
    pub role: Option<Role>,
}

/// Names apps.
#[derive(Debug)]
pub struct Apps {
    rules: Vec<AppRule>,
    definitions: Vec<Definition>,
    names: HashMap<String, Arc<str>>,
    /// A window keeps its app while its title is one that no app is known by.
    windows: HashMap<u64, Arc<str>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Definition {
    app: String,
    title: String,
    /// File name of a native app's program, without `.exe`.
    program: Option<String>,
}

impl Apps {
    /// Reads the app definitions that the settings name.
    #[must_use]
    pub fn new(settings: &FocusSettings) -> Self {
        let folders = settings.app_definitions.iter().map(Template::expand_env);
        let mut definitions: Vec<_> = folders.flat_map(|folder| read_definitions(Path::new(&folder))).collect();
        // The longest title that fits is the app's.
        definitions.sort_by_key(|definition| std::cmp::Reverse(definition.title.len()));
        Self { rules: settings.apps.clone(), definitions, names: HashMap::new(), windows: HashMap::new() }
    }

    /// The app of a window.
    pub fn name(&mut self, window: Facts<'_>) -> Arc<str> {
        let Some(name) = self.find(&window).map(str::to_owned) else {
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

    /// Forgets windows that are gone.
    pub fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        self.windows.retain(|id, _| is_there(*id));
    }

    fn find(&self, window: &Facts<'_>) -> Option<&str> {
        let ruled = self.rules.iter().find(|rule| fits(rule, window)).map(|rule| rule.app.as_str());
        ruled.or_else(|| {
            let role = window.role?;
            let definition = self.definitions.iter().find(|definition| match &definition.program {
                Some(program) => role == Role::Native && program.eq_ignore_ascii_case(window.program),
                None => role != Role::Native && begins_with(window.title, &definition.title),
            });
            definition.map(|definition| definition.app.as_str())
        })
    }

    fn intern(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= MOST_NAMES {
            return OTHER.into();
        }
        let new: Arc<str> = name.into();
        self.names.insert(name.to_owned(), Arc::clone(&new));
        new
    }
}

fn fits(rule: &AppRule, window: &Facts<'_>) -> bool {
    let glob =
        |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, text));
    let is_candidate = rule.process.is_some() || window.role.is_some();
    is_candidate
        && glob(&rule.process, window.program)
        && glob(&rule.class, window.class)
        && rule.title.as_ref().is_none_or(|title| title.regex().is_match(window.title))
}

/// A title as the platform makes it by default: the definition's, and after it what tells instances apart.
fn begins_with(title: &str, definition: &str) -> bool {
    let rest = title.strip_prefix(definition);
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// An app definition, as far as it names things (docs.interop.io, schema of application definitions: `name`, `title`,
/// `details.path`, `details.command`).
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
            tracing::warn!(folder = %folder.display(), %error, "app definitions cannot be read");
            return Vec::new();
        }
    };
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let json = files.filter(|file| file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")));
    json.flat_map(|file| {
        definitions(&file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "an app definition cannot be read");
            Vec::new()
        })
    })
    .collect()
}

fn definitions(file: &Path) -> std::io::Result<Vec<Definition>> {
    if file.metadata()?.len() > LARGEST_DEFINITION {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    let mut text = std::fs::read_to_string(file)?;
    json_strip_comments::strip(&mut text)?;
    let found = match serde_json::from_str(text.trim_start_matches('\u{feff}'))? {
        serde_json::Value::Array(items) => items,
        single => vec![single],
    };
    // Whatever else lies there is no definition.
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
