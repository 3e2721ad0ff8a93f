//! Layers of settings: sparse trees that are laid over each other, and who had the last word on each value.
//!
//! Objects merge key by key, everything else (lists too) replaces what was there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::key::KeyPath;
use super::model::Settings;

/// Where a value comes from, in the order in which layers override each other: the later wins.
///
/// Remote settings have their place in this order, between [`File`] and [`Environment`], and are not read yet.
///
/// [`File`]: Origin::File
/// [`Environment`]: Origin::Environment
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built into the agent.
    Default,
    /// io.Connect's own settings of io.Insights.
    Insights {
        /// The file.
        path: PathBuf,
    },
    /// Set for this machine, as by the installer.
    Machine {
        /// Key of the registry.
        place: String,
    },
    /// The user's file.
    File {
        /// The file.
        path: PathBuf,
        /// Line of the value, from 1.
        line: u32,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        variable: String,
    },
    /// `--set` on the command line.
    Flag,
    /// The organisation's policy: fixed.
    Policy {
        /// Key of the registry, or the file.
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

/// The default settings as a tree.
pub(super) fn defaults() -> Value {
    // invariant: the defaults hold only texts, numbers and maps with text keys, which always serialize
    serde_json::to_value(Settings::default()).unwrap_or_default()
}

/// Layers that have been laid over each other. They hold secrets in the clear, so there is no `Debug`.
pub(super) struct Merged {
    tree: Value,
    origins: BTreeMap<KeyPath, Origin>,
}

impl Merged {
    /// The lowest layer.
    pub(super) fn new() -> Self {
        Self { tree: defaults(), origins: BTreeMap::new() }
    }

    /// Lays a layer, already checked, over what is there.
    pub(super) fn put(&mut self, layer: &Value, origin: &dyn Fn(&KeyPath) -> Origin) {
        merge(&mut self.tree, &mut self.origins, layer, origin, &KeyPath::default());
    }

    /// Adds items to a list, named as a JSON pointer.
    pub(super) fn append(&mut self, list: &str, items: &[Value]) {
        if let Some(Value::Array(list)) = self.tree.pointer_mut(list) {
            list.extend(items.iter().cloned());
        }
    }

    /// The whole tree.
    pub(super) fn tree(&self) -> &Value {
        &self.tree
    }

    /// Who had the last word on the value at `path`.
    pub(super) fn origin(&self, path: &KeyPath) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }

    /// Every value that is not an object with something in it, in the order of the model.
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
