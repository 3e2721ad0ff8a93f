//! What the organisation tells by Windows' registry: policies, which have the last word, and settings of the machine, which
//! the installer writes, between the defaults and the user's file.
//!
//! Format: a value is a setting, named as in `collector.endpoint`. Its data is text as it follows `--set collector.endpoint=`,
//! headers and attributes also as `name=value,name=value` with percent-encoded values; a number also stands for `false` (0)
//! and `true` (1). A map or a list can also be a key of its name: of a map each value is an entry, of a list an item, in the
//! order of their names as numbers. A wrong value is reported and ignored, because the person at the desk cannot mend it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check::{Finding, check};
use super::environment::pairs;
use super::error::{ConfigError, Place, Problem};
use super::key::{KeyPath, MAPS};
use super::layers::{Merged, Origin};

/// A key of the registry that holds settings. It may hold secrets in the clear, so it has no `Debug`.
#[derive(Clone)]
pub struct RegistryKey {
    /// Its path, as in `HKLM\SOFTWARE\Policies\InsightsAgent`.
    pub path: String,
    /// Whether what it says cannot be changed by the user.
    pub is_policy: bool,
    /// Its values, and those of the keys below it by names as in `collector.headers\authorization`.
    pub values: Vec<(String, RegistryData)>,
}

/// The data of a value.
#[derive(Clone)]
pub enum RegistryData {
    /// `REG_SZ`, `REG_EXPAND_SZ`, or the lines of `REG_MULTI_SZ`.
    Text(String),
    /// `REG_DWORD`, `REG_QWORD`.
    Number(u64),
    /// Any other: no setting is written so.
    Other,
}

/// Lays the policies among `keys`, or the others, over `merged`, later keys above earlier ones; returns what had to be
/// ignored.
pub(super) fn put(merged: &mut Merged, keys: &[RegistryKey], policies: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for key in keys.iter().filter(|key| key.is_policy == policies) {
        let origin = if policies {
            Origin::Policy { place: key.path.clone() }
        } else {
            Origin::Machine { place: key.path.clone() }
        };
        for (name, forms) in settings(&key.values) {
            match first_valid(&KeyPath::from_dotted(name), forms) {
                Ok(layer) => merged.put(&layer, &|_| origin.clone()),
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

/// Every setting with all that its data can mean, the likeliest first. Values before keys, so that an entry can be added to
/// a map.
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
            let map = MAPS.contains(&name).then(|| pairs(text).ok()).flatten();
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
    if MAPS.contains(&key) {
        let map: Map<_, _> = entries.into_iter().map(|(name, data)| (name.to_owned(), text(data).into())).collect();
        return vec![map.into()];
    }
    entries.sort_by_key(|(name, _)| (name.parse::<u32>().unwrap_or(u32::MAX), *name));
    let texts: Vec<String> = entries.into_iter().map(|(_, data)| text(data)).collect();
    let objects: Option<Vec<Value>> = texts.iter().map(|text| serde_json::from_str(text).ok()).collect();
    objects.map(Value::from).into_iter().chain([Value::from(texts)]).collect()
}

/// The first of several meanings that is allowed; of what is wrong, the last one's fault.
fn first_valid(path: &KeyPath, meanings: Vec<Value>) -> Result<Value, Finding> {
    let mut last = None;
    for value in meanings {
        let tree = path.tree(value);
        match check(&tree) {
            Ok(_) => return Ok(tree),
            Err(finding) => last = Some(finding),
        }
    }
    Err(last.unwrap_or_else(|| Finding::value(path.clone(), "there is no value")))
}
