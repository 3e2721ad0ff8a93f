//! The JSON schema of the settings, and everything that is derived from it: the list of settings,
//! the secrets, the maps and the example of the documentation. A new setting is thus described in
//! one place, the model.

use std::sync::LazyLock;

use serde_json::Value;

use super::model::Settings;
use super::values::Secret;

/// Keyword of the model for the value that the example shows. It is not part of JSON Schema; in the
/// published schema the value is the first of `examples`.
pub(super) const EXAMPLE: &str = "example";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let inline = schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    inline.into_generator().into_root_schema_for::<Settings>().to_value()
});

static MAPS: LazyLock<Vec<String>> = LazyLock::new(|| keys_of(|node| node["additionalProperties"].is_object()));

static SECRETS: LazyLock<Vec<String>> =
    LazyLock::new(|| keys_of(|node| is_secret(node) || is_secret(&node["additionalProperties"])));

/// Returns the JSON Schema (draft 2020-12) of the settings file, for editors.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SCHEMA.clone();
    publish_examples(&mut schema);
    schema
}

/// Returns the keys of all settings in the order of the model, for example `collector.endpoint`.
/// Fields of list items are written `logs.filters[].files`.
#[must_use]
pub fn setting_keys() -> Vec<String> {
    keys_of(|_| true)
}

/// Returns the schema as the model declares it, with [`EXAMPLE`].
#[cfg(test)]
pub(super) fn model_schema() -> &'static Value {
    &SCHEMA
}

/// Returns the settings whose keys the company chooses (headers, attributes). Such a key may
/// contain dots.
pub(super) fn maps() -> &'static [String] {
    &MAPS
}

/// Returns the settings that are never shown, including everything below them.
pub(super) fn secrets() -> &'static [String] {
    &SECRETS
}

/// Returns all settings below `node` with their schema. Sections are not included; `above` is the
/// key of `node`, empty for the root.
pub(super) fn properties(node: &Value, above: &str) -> Vec<(String, Value)> {
    let Some(children) = node["properties"].as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for (name, child) in children {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let below = properties(child, &key);
        if below.is_empty() {
            found.push((key.clone(), child.clone()));
            found.extend(properties(&child["items"], &format!("{key}[]")));
        } else {
            found.extend(below);
        }
    }
    found
}

fn keys_of(is_wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    properties(&SCHEMA, "").into_iter().filter(|(_, node)| is_wanted(node)).map(|(key, _)| key).collect()
}

fn is_secret(node: &Value) -> bool {
    node["title"] == Secret::SCHEMA_TITLE
}

/// Replaces each [`EXAMPLE`] of a setting by `examples`, with that value first.
fn publish_examples(node: &mut Value) {
    let Some(object) = node.as_object_mut() else { return };
    if let Some(example) = object.shift_remove(EXAMPLE) {
        let others = object.get("examples").and_then(Value::as_array).into_iter().flatten();
        let others = others.filter(|other| **other != example).cloned().collect::<Vec<_>>();
        let examples: Vec<Value> = std::iter::once(example).chain(others).collect();
        object.insert("examples".to_owned(), examples.into());
    }
    for (keyword, child) in object.iter_mut() {
        match (keyword.as_str(), child) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(publish_examples),
            ("items" | "additionalProperties", child) => publish_examples(child),
            _ => {}
        }
    }
}
