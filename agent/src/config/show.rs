//! Output of settings for people and programs: with origins, without secrets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::KeyPath;
use super::values::Secret;
use super::{Loaded, Origin};

/// Maximum column width. Longer values stick out of their column instead of widening it for all
/// rows.
const MAX_COLUMN_WIDTH: usize = 60;

/// One setting, formatted for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingLine {
    /// Key of the setting, for example `collector.endpoint`.
    pub key: String,
    /// Value of the setting; secrets are masked.
    pub value: String,
    /// Where the value comes from.
    pub origin: String,
    /// Whether a policy of the organisation sets the value, so that nobody else can change it.
    #[serde(default)]
    pub is_fixed: bool,
}

impl Loaded {
    /// Returns a table of all settings: key, value, origin. Secrets are masked.
    #[must_use]
    pub fn show(&self) -> String {
        let rows: Vec<[String; 3]> = self
            .merged
            .leaves()
            .into_iter()
            .map(|(path, value, origin)| {
                [printable(&path.to_string()), text(&shown(&path, value)), printable(&origin.to_string())]
            })
            .collect();
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .filter(|width| *width <= MAX_COLUMN_WIDTH)
                .max()
                .unwrap_or_default()
        };
        let (keys, values) = (width(0), width(1));
        let lines: Vec<String> =
            rows.iter().map(|[key, value, origin]| format!("{key:keys$}  {value:values$}  {origin}\n")).collect();
        lines.concat()
    }

    /// Returns all settings, formatted for display.
    #[must_use]
    pub fn lines(&self) -> Vec<SettingLine> {
        let line = |(path, value, origin): (KeyPath, &Value, &Origin)| SettingLine {
            key: path.to_string(),
            value: text(&shown(&path, value)),
            origin: origin.to_string(),
            is_fixed: matches!(origin, Origin::Policy { .. }),
        };
        self.merged.leaves().into_iter().map(line).collect()
    }

    /// Returns all settings as a JSON tree. Secrets are masked.
    #[must_use]
    pub fn show_json(&self) -> Value {
        shown(&KeyPath::default(), self.merged.tree())
    }
}

fn shown(path: &KeyPath, value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shown(&path.key(key), value))).collect(),
        Value::Null => Value::Null,
        _ if path.is_secret() => Secret::MASK.into(),
        _ => value.clone(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if !text.is_empty() => printable(text),
        other => other.to_string(),
    }
}

/// Escapes control characters, which could be terminal sequences.
fn printable(text: &str) -> String {
    if text.contains(char::is_control) { format!("{text:?}") } else { text.to_owned() }
}
