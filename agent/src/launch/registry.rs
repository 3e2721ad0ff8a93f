//! Reads what the organisation and the installer have written into the registry.

use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE, Type};

use crate::config::{RegistryData, RegistryKey};

/// Where the installer writes, and where administrators may.
const SETTINGS: &str = r"SOFTWARE\InsightsAgent\Settings";
/// Where Group Policy writes: only administrators can.
const POLICIES: &str = r"SOFTWARE\Policies\InsightsAgent";

/// The keys that are there, later ones above earlier ones. What cannot be read is as good as not there.
pub(super) fn read() -> Vec<RegistryKey> {
    let machine = ("HKLM", LOCAL_MACHINE);
    let user = ("HKCU", CURRENT_USER);
    let keys = [(machine, SETTINGS, false), (user, SETTINGS, false), (user, POLICIES, true), (machine, POLICIES, true)];
    let read = keys.into_iter().filter_map(|((hive, root), path, is_policy)| {
        let key = root.open(path).ok()?;
        let mut values = values_of(&key, "");
        for name in key.keys().into_iter().flatten() {
            if let Ok(below) = key.open(&name) {
                values.extend(values_of(&below, &format!("{name}\\")));
            }
        }
        Some(RegistryKey { path: format!("{hive}\\{path}"), is_policy, values })
    });
    read.collect()
}

fn values_of(key: &Key, prefix: &str) -> Vec<(String, RegistryData)> {
    let values = key.values().into_iter().flatten();
    // The value without a name is no setting.
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
