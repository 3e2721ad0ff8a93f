//! Where a value sits in the tree of settings.

use std::fmt;

use serde_json::Value;

/// Objects whose keys the company chooses; such a key may hold dots.
pub(super) const MAPS: [&str; 8] = [
    "collector.headers",
    "collector.headers_from",
    "collector.oauth2.parameters",
    "collector.metrics.headers",
    "collector.traces.headers",
    "collector.logs.headers",
    "collector.fallback.headers",
    "resource.attributes",
];

/// Settings that are never shown, with all that is below them.
pub(super) const SECRETS: [&str; 9] = [
    "collector.headers",
    "collector.proxy.password",
    "collector.oauth2.client_secret",
    "collector.metrics.headers",
    "collector.traces.headers",
    "collector.logs.headers",
    "collector.fallback.headers",
    "resource.user_hash_key",
    "receiver.token",
];

/// One step down the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Path of a value, written `logs.layouts[0].pattern`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    /// As written by people: steps parted by dots, except in the keys of [`MAPS`].
    pub(super) fn from_dotted(text: &str) -> Self {
        for map in MAPS {
            if let Some(key) = text.strip_prefix(map).and_then(|rest| rest.strip_prefix('.')) {
                return Self::from_dotted(map).key(key);
            }
        }
        Self(text.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// The child of that name.
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// The item of a list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// One level up; nothing above the root.
    pub(super) fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, above)| Self(above.to_vec()))
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether `self` is `above` or lies below it.
    pub(super) fn is_within(&self, above: &Self) -> bool {
        self.0.starts_with(&above.0)
    }

    /// Whether what stands here must not be shown.
    pub(super) fn is_secret(&self) -> bool {
        SECRETS.iter().any(|secret| self.is_within(&Self::from_dotted(secret)))
    }

    /// Whether `defaults` has this setting, a map or list that may hold it.
    pub(super) fn is_known(&self, defaults: &Value) -> bool {
        let mut node = defaults;
        for (depth, step) in self.0.iter().enumerate() {
            let Step::Key(key) = step else { return true };
            let above = Self(self.0[..depth].to_vec()).to_string();
            match node.get(key) {
                Some(child) => node = child,
                None => return node.is_array() || MAPS.contains(&above.as_str()),
            }
        }
        true
    }

    /// A tree with `value` at this path and nothing else.
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
