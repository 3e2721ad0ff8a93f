//! What the agent is told: settings in layers, each value with its origin.
//!
//! A layer is a sparse tree. Each is checked alone, with the defaults under it, so that a fault is blamed on the layer
//! that brought it; then they are laid over each other in the order of [`Origin`]. A fault in the file or a flag is an
//! error, one in an `OTEL_*` variable or the registry a [`Problem`], as OpenTelemetry wants it for the first. If the file is broken and there is a copy
//! of its last good state, that stays in force.
//!
//! Nothing here reads the environment or the clock: all comes with [`Inputs`], except the files that these and the settings name.

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
pub use show::SettingLine;
pub use values::*;

use file::FileLayer;
use key::KeyPath;
use layers::Merged;

/// Where OTLP over HTTP goes if nobody says where:
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options>. The default of
/// [`CollectorSettings::endpoint`] is that of gRPC.
const DEFAULT_HTTP_ENDPOINT: &str = "http://localhost:4318";

/// The user's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChoice {
    /// Where it is by default: it need not be there.
    Default(PathBuf),
    /// Where the user says it is: it must be there.
    Named(PathBuf),
}

impl FileChoice {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::Default(path) | Self::Named(path)) = self;
        path
    }
}

/// All that settings are made of. It holds secrets in the clear, so it has no `Debug`.
#[derive(Clone)]
pub struct Inputs {
    /// The user's file.
    pub file: FileChoice,
    /// Copy of the last file that could be used, kept with [`Loaded::keep_as_last_good`].
    pub last_good: Option<PathBuf>,
    /// What the organisation says, on Windows: later keys win.
    pub registry: Vec<RegistryKey>,
    /// What the organisation says, elsewhere: a file that has to be root's own.
    pub policy: Option<PathBuf>,
    /// io.Connect's `system.json` in its usual place.
    pub system_json: Option<PathBuf>,
    /// The environment, name and value.
    pub environment: Vec<(String, String)>,
    /// Flags of the form `key=value`, as in `collector.protocol=http/protobuf`.
    pub flags: Vec<String>,
}

/// Settings that can be used, and how they came about. `Debug` shows no secrets.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What is wrong and was left out or put off.
    pub problems: Vec<Problem>,
    merged: Merged,
    last_good: LastGood,
}

/// What [`Loaded::keep_as_last_good`] has to do.
enum LastGood {
    /// Nothing: there is no place for it, or it was what has been loaded.
    Leave,
    /// Store this text.
    Store(PathBuf, String),
    /// Remove it: the settings in force have no file.
    Remove(PathBuf),
}

impl Loaded {
    /// Keeps the file that has been loaded, for the day when it is broken. To be called once the settings have proved
    /// to work; does nothing if they came from that copy.
    ///
    /// # Errors
    /// If the copy cannot be written; the old one is then still there.
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

    /// Who had the last word on a setting, named as in `collector.endpoint`.
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

/// Puts the settings together.
///
/// # Errors
/// If the file, the policy or a flag is wrong, or a named file is not there. A file that is there but wrong or unreadable is
/// only a [`Problem`] if its last good copy can be used; a policy never: without it, what it forbids would be allowed.
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
    let (mut merged, mut found) = lay(inputs, file.as_ref(), policy.as_ref(), None)?;
    if let Some(path) = insights_file(inputs, &merged) {
        let lookup = |name: &str| inputs.environment.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone());
        let insights = insights::read(&path, &lookup, &receiver_ports(&merged), has_address(&merged));
        (merged, found) = lay(inputs, file.as_ref(), policy.as_ref(), Some((&path, &insights)))?;
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

/// Lays all layers over each other; returns what had to be ignored, too.
fn lay(
    inputs: &Inputs,
    file: Option<&FileLayer>,
    policy: Option<&FileLayer>,
    insights: Option<(&Path, &insights::Insights)>,
) -> Result<(Merged, Vec<Problem>), ConfigError> {
    let mut merged = Merged::new();
    if let Some((path, insights)) = insights {
        merged.put(&insights.tree, &|_| Origin::Insights { path: path.to_owned() });
    }
    let mut problems = registry::put(&mut merged, &inputs.registry, false);
    if let Some(file) = file {
        merged.put(&file.tree, &|path| Origin::File { path: file.path.clone(), line: file.line(path) });
    }
    problems.extend(environment::put(&mut merged, &inputs.environment));
    flags::put(&mut merged, &inputs.flags)?;
    problems.extend(registry::put(&mut merged, &inputs.registry, true));
    if let Some(policy) = policy {
        merged.put(&policy.tree, &|_| Origin::Policy { place: policy.path.display().to_string() });
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

/// io.Connect's settings, if they count.
fn insights_file(inputs: &Inputs, merged: &Merged) -> Option<PathBuf> {
    let connect = &merged.tree()["connect"];
    let named = connect["system_json"].as_str().map(|path| PathBuf::from(Template::from(path).expand_env()));
    let usual = || inputs.system_json.clone();
    (connect["use_insights_settings"] == true).then(|| named.or_else(usual).unwrap_or_else(|| "system.json".into()))
}

/// Whether the agent is told by itself where data goes, of all signals or of one.
fn has_address(merged: &Merged) -> bool {
    let of = ["collector", "collector.metrics", "collector.traces", "collector.logs"];
    of.iter().any(|room| *merged.origin(&KeyPath::from_dotted(room).key("endpoint")) != Origin::Default)
}

fn receiver_ports(merged: &Merged) -> Vec<u16> {
    let receiver = &merged.tree()["receiver"];
    let ports = ["grpc_port", "http_port"].map(|port| u16::try_from(receiver[port].as_u64().unwrap_or_default()));
    let is_on = receiver["enabled"] == true;
    ports.into_iter().filter_map(|port| port.ok().filter(|_| is_on)).collect()
}

/// JSON Schema (draft 2020-12) of the user's file, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let inline = schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    inline.into_generator().into_root_schema_for::<Settings>().to_value()
}

fn read_file(choice: &FileChoice) -> Result<Option<FileLayer>, ConfigError> {
    match (file::read(choice.path())?, choice) {
        (None, FileChoice::Named(path)) => Err(file::missing(path)),
        (file, _) => Ok(file),
    }
}

/// The copy, if it can be used, and what to say of it.
fn read_last_good(path: &Path) -> Option<(FileLayer, String)> {
    let copy = file::read(path).ok().flatten()?;
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let when = jiff::Timestamp::try_from(written).map(|time| format!("{time:.0}")).unwrap_or_default();
    Some((copy, format!("the settings of {when} stay in force")))
}

fn put_http_endpoint(merged: &mut Merged) {
    let endpoint = KeyPath::from_dotted("collector.endpoint");
    let protocol = merged.tree().pointer("/collector/protocol").and_then(serde_json::Value::as_str);
    let http = protocol.is_some_and(|protocol| protocol.starts_with("http/"));
    if http && *merged.origin(&endpoint) == Origin::Default {
        merged.put(&endpoint.tree(DEFAULT_HTTP_ENDPOINT.into()), &|_| Origin::Default);
    }
}
