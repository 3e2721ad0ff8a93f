//! The agent's settings, merged from several layers. Each value keeps its origin.
//!
//! A layer is a sparse tree. Each layer is validated on its own, over the defaults, so that an
//! error is reported for the layer that caused it. `merge_layers` then merges the layers: the
//! sequence of its calls is their order of precedence, lowest first.
//!
//! - An error in the file, the policy file or a flag is a [`ConfigError`]: the settings do not
//!   load.
//! - An error in an `OTEL_*` variable or the registry is a [`Problem`]: the value is ignored.
//!   (OpenTelemetry requires this for the variables.)
//! - If the file is broken and a copy of the last file that worked exists, that copy is used.
//!
//! **Invariant:** this module does not read the environment or the clock. Everything comes from
//! [`Inputs`], except the files that inputs and settings name.

mod check;
mod environment;
mod error;
mod file;
mod flags;
mod insights;
mod key;
mod layers;
mod model;
mod positions;
mod registry;
mod schema;
mod show;
mod values;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::paths;

pub use error::{ConfigError, ErrorKind, Place, Problem};
pub use file::MAX_FILE_BYTES;
pub use layers::Origin;
pub use model::*;
pub use registry::{RegistryData, RegistryKey};
pub use schema::{json_schema, setting_keys};
pub use show::SettingLine;
pub use values::*;

use file::FileLayer;
use key::KeyPath;
use layers::Merged;

/// Default address for OTLP/HTTP:
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options>. The default
/// of
/// [`CollectorSettings::endpoint`] is the address for gRPC.
const DEFAULT_HTTP_ENDPOINT: &str = "http://localhost:4318";

/// Where the user's settings file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChoice {
    /// The default path. The file is optional.
    Default(PathBuf),
    /// A path given on the command line. The file must exist.
    Named(PathBuf),
}

impl FileChoice {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::Default(path) | Self::Named(path)) = self;
        path
    }
}

/// Everything that settings are loaded from. It contains secrets in clear text, so it has no
/// `Debug`.
#[derive(Clone)]
pub struct Inputs {
    /// The user's settings file.
    pub file: FileChoice,
    /// Copy of the last file that worked, written by [`Loaded::keep_as_last_good`].
    pub last_good: Option<PathBuf>,
    /// Settings and policies in the Windows registry; later keys take precedence.
    pub registry: Vec<RegistryKey>,
    /// The policy file on Unix. Only root may be able to write it.
    pub policy: Option<PathBuf>,
    /// Default path of io.Connect's `system.json`.
    pub system_json: Option<PathBuf>,
    /// Environment variables, name and value.
    pub environment: Vec<(String, String)>,
    /// Flags of the form `key=value`, for example `collector.protocol=http/protobuf`.
    pub flags: Vec<String>,
}

/// Valid settings with their origins. `Debug` shows no secrets.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Errors that did not prevent loading, and what was done instead.
    pub problems: Vec<Problem>,
    merged: Merged,
    last_good: LastGood,
}

/// What [`Loaded::keep_as_last_good`] does.
enum LastGood {
    /// Nothing: there is no path for the copy, or the copy itself was loaded.
    Leave,
    /// Writes this text.
    Store(PathBuf, String),
    /// Removes the copy: the current settings have no file.
    Remove(PathBuf),
}

impl Loaded {
    /// Saves a copy of the loaded file, to be used if the file is broken later. Call this once the
    /// settings have proved to work. Does nothing if they were loaded from the copy.
    ///
    /// # Errors
    /// If the copy cannot be written. The previous copy is then unchanged.
    pub fn keep_as_last_good(&self) -> io::Result<()> {
        match &self.last_good {
            LastGood::Leave => Ok(()),
            LastGood::Store(path, text) => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                paths::write_atomically(path, text.as_bytes())
            }
            LastGood::Remove(path) => paths::remove_if_exists(path),
        }
    }

    /// Returns the origin of a setting, for example of `collector.endpoint`.
    #[must_use]
    pub fn origin(&self, key: &str) -> &Origin {
        self.merged.origin(&KeyPath::from_dotted(key))
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, problems, .. } = self;
        f.debug_struct("Loaded").field("settings", settings).field("problems", problems).finish_non_exhaustive()
    }
}

/// Loads and merges all layers of settings.
///
/// # Errors
/// If the file, the policy file or a flag is invalid, or a file given on the command line does not
/// exist. A broken or unreadable file is only a [`Problem`] if its last good copy can be used. A
/// broken policy file is always an error: without it, the agent would allow what the policy
/// forbids.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let mut from_copy = false;
    let file = match read_file(&inputs.file) {
        Ok(file) => file,
        Err(error) => {
            let copy = inputs.last_good.as_deref().filter(|_| error.kind != ErrorKind::Missing);
            let Some((copy, effect)) = copy.and_then(read_last_good) else { return Err(error) };
            problems.push(Problem { error, effect });
            from_copy = true;
            Some(copy)
        }
    };

    let policy = policy(inputs)?;
    let (mut merged, mut found) = merge_layers(inputs, file.as_ref(), policy.as_ref(), None)?;
    if let Some(path) = insights_file(inputs, &merged) {
        let lookup = |name: &str| inputs.environment.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone());
        let insights = insights::read(&path, &lookup, &receiver_ports(&merged), has_address(&merged));
        (merged, found) = merge_layers(inputs, file.as_ref(), policy.as_ref(), Some((&path, &insights)))?;
        found.extend(insights.problems);
    }
    problems.extend(found);

    let settings = check::check(merged.tree()).map_err(|finding| ConfigError {
        kind: finding.kind,
        place: Place::File { path: inputs.file.path().to_owned(), position: None },
        key: Some(finding.path.to_string()),
        message: finding.message,
        help: finding.help,
        excerpt: None,
    })?;
    let last_good = match (&inputs.last_good, file) {
        (Some(path), Some(file)) if !from_copy => LastGood::Store(path.clone(), file.text),
        (Some(path), None) => LastGood::Remove(path.clone()),
        _ => LastGood::Leave,
    };
    Ok(Loaded { settings, problems, merged, last_good })
}

/// Merges all layers. Also returns the values that had to be ignored.
fn merge_layers(
    inputs: &Inputs,
    file: Option<&FileLayer>,
    policy: Option<&FileLayer>,
    insights: Option<(&Path, &insights::Insights)>,
) -> Result<(Merged, Vec<Problem>), ConfigError> {
    let mut merged = Merged::new();
    if let Some((path, insights)) = insights {
        merged.apply(&insights.tree, &|_| Origin::Insights { path: path.to_owned() });
    }
    let mut problems = registry::apply(&mut merged, &inputs.registry, false);
    if let Some(file) = file {
        merged.apply(&file.tree, &|path| Origin::File { path: file.path.clone(), line: file.line(path) });
    }
    problems.extend(environment::apply(&mut merged, &inputs.environment));
    flags::apply(&mut merged, &inputs.flags)?;
    problems.extend(registry::apply(&mut merged, &inputs.registry, true));
    if let Some(policy) = policy {
        merged.apply(&policy.tree, &|_| Origin::Policy { place: policy.path.display().to_string() });
    }
    for (list, items) in insights.into_iter().flat_map(|(_, insights)| &insights.additions) {
        merged.append(list, items);
    }
    put_http_endpoint(&mut merged);
    Ok((merged, problems))
}

fn policy(inputs: &Inputs) -> Result<Option<FileLayer>, ConfigError> {
    #[cfg(unix)]
    return inputs.policy.as_deref().map_or(Ok(None), file::read_policy);
    #[cfg(not(unix))]
    inputs.policy.as_deref().map_or(Ok(None), file::read)
}

/// Returns the path of io.Connect's `system.json` if its io.Insights settings are to be used.
fn insights_file(inputs: &Inputs, merged: &Merged) -> Option<PathBuf> {
    let connect = &merged.tree()["connect"];
    let named = connect["system_json"].as_str().map(|path| PathBuf::from(Template::from(path).expand_env()));
    let usual = || inputs.system_json.clone();
    (connect["use_insights_settings"] == true).then(|| named.or_else(usual).unwrap_or_else(|| "system.json".into()))
}

/// Returns whether the agent's own settings contain a collector address, for all signals or for
/// one.
fn has_address(merged: &Merged) -> bool {
    let sections = ["collector", "collector.metrics", "collector.traces", "collector.logs"];
    sections.iter().any(|section| *merged.origin(&KeyPath::from_dotted(section).key("endpoint")) != Origin::Default)
}

fn receiver_ports(merged: &Merged) -> Vec<u16> {
    let receiver = &merged.tree()["receiver"];
    let ports = ["grpc_port", "http_port"].map(|port| u16::try_from(receiver[port].as_u64().unwrap_or_default()));
    let is_on = receiver["enabled"] == true;
    ports.into_iter().filter_map(|port| port.ok().filter(|_| is_on)).collect()
}

fn read_file(choice: &FileChoice) -> Result<Option<FileLayer>, ConfigError> {
    match (file::read(choice.path())?, choice) {
        (None, FileChoice::Named(path)) => Err(file::missing(path)),
        (file, _) => Ok(file),
    }
}

/// Returns the copy of the last good file if it can be used, and the note for the report.
fn read_last_good(path: &Path) -> Option<(FileLayer, String)> {
    let copy = file::read(path).ok().flatten()?;
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let when = jiff::Timestamp::try_from(written).map(|time| format!("{time:.0}")).unwrap_or_default();
    Some((copy, format!("using the last settings that worked, from {when}")))
}

fn put_http_endpoint(merged: &mut Merged) {
    let endpoint = KeyPath::from_dotted("collector.endpoint");
    let protocol = merged.tree().pointer("/collector/protocol").and_then(serde_json::Value::as_str);
    let http = protocol.is_some_and(|protocol| protocol.starts_with("http/"));
    if http && *merged.origin(&endpoint) == Origin::Default {
        merged.apply(&endpoint.tree(DEFAULT_HTTP_ENDPOINT.into()), &|_| Origin::Default);
    }
}
