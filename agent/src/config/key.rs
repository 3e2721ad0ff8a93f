//! Paths of values in the tree of settings.

use std::fmt;

use serde_json::Value;

use super::schema::{maps, secrets};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Path of a value, for example `logs.layouts[0].pattern`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    /// Parses a key whose steps are separated by dots. What follows a map (see [`maps`]) is one
    /// step, even with dots in it.
    pub(super) fn from_dotted(text: &str) -> Self {
        for map in maps() {
            if let Some(key) = text.strip_prefix(map.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                return Self::from_dotted(map).key(key);
            }
        }
        Self(text.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// Returns the path of the child `key`.
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// Returns the path of an item of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// Returns the path one level up; `None` for the root.
    pub(super) fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, above)| Self(above.to_vec()))
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Returns whether `self` is `above` or a path below it.
    pub(super) fn is_within(&self, above: &Self) -> bool {
        self.0.starts_with(&above.0)
    }

    /// Returns whether the value here must not be shown.
    pub(super) fn is_secret(&self) -> bool {
        secrets().iter().any(|secret| self.is_within(&Self::from_dotted(secret)))
    }

    /// Returns whether this is a setting: `defaults` contains it, or a map or list that may hold
    /// it.
    pub(super) fn is_known(&self, defaults: &Value) -> bool {
        let mut node = defaults;
        for (depth, step) in self.0.iter().enumerate() {
            let Step::Key(key) = step else { return true };
            let above = Self(self.0[..depth].to_vec()).to_string();
            match node.get(key) {
                Some(child) => node = child,
                None => return node.is_array() || maps().contains(&above),
            }
        }
        true
    }

    /// Returns a tree with `value` at this path and nothing else.
    pub(super) fn tree(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |inner, step| match step {
            Step::Key(key) => Value::Object(serde_json::Map::from_iter([(key.clone(), inner)])),
            Step::Index(_) => Value::Array(vec![inner]),
        })
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        Self(
            path.iter()
                .filter_map(|segment| match segment {
                    Segment::Seq { index } => Some(Step::Index(*index)),
                    Segment::Map { key } => Some(Step::Key(key.clone())),
                    Segment::Enum { .. } | Segment::Unknown => None,
                })
                .collect(),
        )
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
