//! Merges the layers of settings, and keeps the origin of each value.
//!
//! A layer is a sparse tree. Objects merge key by key; everything else, including lists, replaces
//! the value of the layer below.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::key::KeyPath;
use super::model::Settings;

/// Where a value comes from, in ascending precedence.
///
/// Remote settings will come between [`File`] and [`Environment`]. They are not implemented yet.
///
/// [`File`]: Origin::File
/// [`Environment`]: Origin::Environment
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The default of the agent.
    Default,
    /// The io.Insights settings of io.Connect.
    Insights {
        /// Path of the file.
        path: PathBuf,
    },
    /// Settings of the machine or user in the Windows registry, for example from the installer.
    Machine {
        /// The registry key.
        place: String,
    },
    /// The user's settings file.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Line of the value, starting at 1.
        line: u32,
    },
    /// An environment variable.
    Environment {
        /// Name of the variable.
        variable: String,
    },
    /// `--set` on the command line.
    Flag,
    /// A policy of the organisation. Nobody else can change the value.
    Policy {
        /// The registry key, or the path of the policy file.
        place: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Insights { path } => write!(f, "io.Insights in {}", path.display()),
            Self::Machine { place } => write!(f, "registry {place}"),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Self::Environment { variable } => f.write_str(variable),
            Self::Flag => f.write_str("--set"),
            Self::Policy { place } => write!(f, "set by your organisation ({place})"),
        }
    }
}

/// Returns the default settings as a tree.
pub(super) fn defaults() -> Value {
    // Cannot fail: the defaults contain only strings, numbers, lists, and maps with string keys.
    serde_json::to_value(Settings::default()).unwrap_or_default()
}

/// The merged layers. They contain secrets in clear text, so there is no `Debug`.
pub(super) struct Merged {
    tree: Value,
    origins: BTreeMap<KeyPath, Origin>,
}

impl Merged {
    /// Creates the lowest layer: the defaults.
    pub(super) fn new() -> Self {
        Self { tree: defaults(), origins: BTreeMap::new() }
    }

    /// Merges a layer, which must be valid, over the existing ones.
    pub(super) fn apply(&mut self, layer: &Value, origin: &dyn Fn(&KeyPath) -> Origin) {
        merge(&mut self.tree, &mut self.origins, layer, origin, &KeyPath::default());
    }

    /// Appends items to the list at a JSON pointer.
    pub(super) fn append(&mut self, list: &str, items: &[Value]) {
        if let Some(Value::Array(list)) = self.tree.pointer_mut(list) {
            list.extend(items.iter().cloned());
        }
    }

    /// Returns the merged tree.
    pub(super) fn tree(&self) -> &Value {
        &self.tree
    }

    /// Returns the origin of the value at `path`.
    pub(super) fn origin(&self, path: &KeyPath) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }

    /// Returns every value that is not a filled object, in the order of the model.
    pub(super) fn leaves(&self) -> Vec<(KeyPath, &Value, &Origin)> {
        let mut leaves = Vec::new();
        collect(&self.tree, KeyPath::default(), &mut |path, value| {
            let origin = self.origin(&path);
            leaves.push((path, value, origin));
        });
        leaves
    }
}

fn merge(
    base: &mut Value,
    origins: &mut BTreeMap<KeyPath, Origin>,
    layer: &Value,
    origin: &dyn Fn(&KeyPath) -> Origin,
    path: &KeyPath,
) {
    if let (Value::Object(base), Value::Object(layer)) = (&mut *base, layer) {
        for (key, value) in layer {
            merge(base.entry(key.as_str()).or_insert(Value::Null), origins, value, origin, &path.key(key));
        }
    } else {
        base.clone_from(layer);
        origins.insert(path.clone(), origin(path));
    }
}

fn collect<'a>(value: &'a Value, path: KeyPath, found: &mut impl FnMut(KeyPath, &'a Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                collect(value, path.key(key), found);
            }
        }
        leaf => found(path, leaf),
    }
}
