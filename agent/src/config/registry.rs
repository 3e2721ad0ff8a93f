//! Settings in the Windows registry: policies, which take precedence over everything, and settings
//! of the machine or user, which the installer writes and which rank between the defaults and the
//! user's file.
//!
//! Format: a value is a setting, named by its key (`collector.endpoint`). Its data is text as after
//! `--set collector.endpoint=`. Headers and attributes can also be written as
//! `name=value,name=value` with percent-encoded values, and numbers also mean `false` (0) and
//! `true` (1). A map or list can also be a registry key of that name: each of its values is an
//! entry of the map, or an item of the list in numerical order of the value names.
//!
//! An invalid value is reported and ignored, because the user cannot correct it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check::{Finding, check};
use super::environment::pairs;
use super::error::{ConfigError, Place, Problem};
use super::key::KeyPath;
use super::layers::{Merged, Origin};
use super::schema::maps;

/// A registry key with settings. It may contain secrets in clear text, so it has no `Debug`.
#[derive(Clone)]
pub struct RegistryKey {
    /// Path of the key, for example `HKLM\SOFTWARE\Policies\InsightsAgent`.
    pub path: String,
    /// Whether these are policies, which the user cannot change.
    pub is_policy: bool,
    /// Values of the key. Values of its subkeys are named `collector.headers\authorization`.
    pub values: Vec<(String, RegistryData)>,
}

/// Data of a registry value.
#[derive(Clone)]
pub enum RegistryData {
    /// `REG_SZ`, `REG_EXPAND_SZ`, or the lines of `REG_MULTI_SZ`.
    Text(String),
    /// `REG_DWORD`, `REG_QWORD`.
    Number(u64),
    /// Any other type. No setting is of this type.
    Other,
}

/// Merges the policies among `keys`, or the other settings, into `merged`; later keys take
/// precedence. Returns the invalid values, which are ignored.
pub(super) fn apply(merged: &mut Merged, keys: &[RegistryKey], policies: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for key in keys.iter().filter(|key| key.is_policy == policies) {
        let origin = if policies {
            Origin::Policy { place: key.path.clone() }
        } else {
            Origin::Machine { place: key.path.clone() }
        };
        for (name, forms) in settings(&key.values) {
            match first_valid(&KeyPath::from_dotted(name), forms) {
                Ok(layer) => merged.apply(&layer, &|_| origin.clone()),
                Err(finding) => problems.push(Problem {
                    error: ConfigError {
                        kind: finding.kind,
                        place: Place::Registry(format!("{}\\{name}", key.path)),
                        key: Some(finding.path.to_string()),
                        message: finding.message,
                        help: finding.help,
                        excerpt: None,
                    },
                    effect: "the value is ignored".to_owned(),
                }),
            }
        }
    }
    problems
}

/// Returns every setting with the possible meanings of its data, the most likely first. Values come
/// before subkeys, so that a subkey can add entries to a map.
fn settings(values: &[(String, RegistryData)]) -> Vec<(&str, Vec<Value>)> {
    let mut settings = Vec::new();
    let mut keys: BTreeMap<&str, Vec<(&str, &RegistryData)>> = BTreeMap::new();
    for (name, data) in values {
        match name.split_once('\\') {
            Some((key, entry)) => keys.entry(key).or_default().push((entry, data)),
            None => settings.push((name.as_str(), meanings(name, data))),
        }
    }
    settings.extend(keys.into_iter().map(|(key, entries)| (key, collections(key, entries))));
    settings
}

fn meanings(name: &str, data: &RegistryData) -> Vec<Value> {
    match data {
        RegistryData::Text(text) => {
            let json = serde_json::from_str(text).ok();
            let map = maps().iter().any(|map| map == name).then(|| pairs(text).ok()).flatten();
            json.into_iter().chain(map).chain([text.as_str().into()]).collect()
        }
        RegistryData::Number(number) => {
            let switch = (*number <= 1).then_some(Value::Bool(*number == 1));
            switch.into_iter().chain([Value::from(*number), number.to_string().into()]).collect()
        }
        RegistryData::Other => vec![Value::Null],
    }
}

fn collections(key: &str, mut entries: Vec<(&str, &RegistryData)>) -> Vec<Value> {
    let text = |data: &RegistryData| match data {
        RegistryData::Text(text) => text.clone(),
        RegistryData::Number(number) => number.to_string(),
        RegistryData::Other => String::new(),
    };
    if maps().iter().any(|map| map == key) {
        let map: Map<_, _> = entries.into_iter().map(|(name, data)| (name.to_owned(), text(data).into())).collect();
        return vec![map.into()];
    }
    entries.sort_by_key(|(name, _)| (name.parse::<u32>().unwrap_or(u32::MAX), *name));
    let texts: Vec<String> = entries.into_iter().map(|(_, data)| text(data)).collect();
    let objects: Option<Vec<Value>> = texts.iter().map(|text| serde_json::from_str(text).ok()).collect();
    objects.map(Value::from).into_iter().chain([Value::from(texts)]).collect()
}

/// Returns the first meaning that is valid, or the fault of the last one.
fn first_valid(path: &KeyPath, meanings: Vec<Value>) -> Result<Value, Finding> {
    let mut last = None;
    for value in meanings {
        let tree = path.tree(value);
        match check(&tree) {
            Ok(_) => return Ok(tree),
            Err(finding) => last = Some(finding),
        }
    }
    Err(last.unwrap_or_else(|| Finding::value(path.clone(), "the value is missing")))
}
