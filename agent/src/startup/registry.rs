//! Reads settings and policies from the Windows registry.

use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE, Type};

use crate::config::{RegistryData, RegistryKey};

/// Settings of the machine or user, written by the installer or an administrator.
const SETTINGS: &str = r"SOFTWARE\InsightsAgent\Settings";
/// Policies, written by Group Policy. Only administrators can write here.
const POLICIES: &str = r"SOFTWARE\Policies\InsightsAgent";

/// Returns the keys that exist, in ascending precedence. Keys and values that cannot be read are
/// skipped.
pub(super) fn read() -> Vec<RegistryKey> {
    let machine = ("HKLM", LOCAL_MACHINE);
    let user = ("HKCU", CURRENT_USER);
    let keys = [(machine, SETTINGS, false), (user, SETTINGS, false), (user, POLICIES, true), (machine, POLICIES, true)];
    let read = keys.into_iter().filter_map(|((hive, root), path, is_policy)| {
        let key = root.open(path).ok()?;
        let mut values = values_of(&key, "");
        for name in key.keys().into_iter().flatten() {
            if let Ok(subkey) = key.open(&name) {
                values.extend(values_of(&subkey, &format!("{name}\\")));
            }
        }
        Some(RegistryKey { path: format!("{hive}\\{path}"), is_policy, values })
    });
    read.collect()
}

fn values_of(key: &Key, prefix: &str) -> Vec<(String, RegistryData)> {
    let values = key.values().into_iter().flatten();
    // A key's default value has no name, so it cannot be a setting.
    values
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (format!("{prefix}{name}"), data(key, &name, value)))
        .collect()
}

fn data(key: &Key, name: &str, value: windows_registry::Value) -> RegistryData {
    let data = match value.ty() {
        Type::U32 | Type::U64 => u64::try_from(value).ok().map(RegistryData::Number),
        Type::String | Type::ExpandString => String::try_from(value).ok().map(RegistryData::Text),
        Type::MultiString => key.get_multi_string(name).ok().map(|lines| RegistryData::Text(lines.join("\n"))),
        _ => None,
    };
    data.unwrap_or(RegistryData::Other)
}
