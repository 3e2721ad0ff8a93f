//! Scenario: a settings file was written for an earlier version.

use serde_json::Value;

use super::*;
use crate::config::file::strip;

/// A file with every setting of commit b1cd424.
const COMPLETE: &str = include_str!("../../../testdata/settings/complete-b1cd424.jsonc");

/// Scenario: a settings file with every setting of an earlier version is loaded.
/// Guarantees: it loads without a problem, and every setting has the value of the file.
#[test]
fn settings_file_of_earlier_version_loads_completely() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), COMPLETE);
    // The file turns on io.Insights' settings, whose file does not have to exist for this test.
    let system = folder.path().join("system.json");
    std::fs::write(&system, r#"{ "insights": { "enabled": true } }"#).unwrap();
    inputs.flags.push(format!("connect.system_json={}", system.display()));
    let loaded = load(&inputs).unwrap();
    assert_eq!(loaded.problems, []);

    let mut file: Value = serde_json::from_str(&strip(COMPLETE).unwrap()).unwrap();
    file["connect"]["system_json"] = system.display().to_string().into();
    let loaded = serde_json::to_value(&loaded.settings).unwrap();
    assert_contains(&loaded, &file, "");
}

/// Checks that every value of `file` is in `loaded`, which may contain more.
fn assert_contains(loaded: &Value, file: &Value, key: &str) {
    match (loaded, file) {
        (Value::Object(loaded), Value::Object(file)) => {
            for (name, value) in file {
                let key = format!("{key}/{name}");
                assert_contains(loaded.get(name).unwrap_or_else(|| panic!("{key} is missing")), value, &key);
            }
        }
        (Value::Array(loaded), Value::Array(file)) => {
            assert_eq!(loaded.len(), file.len(), "{key}");
            for (at, (loaded, file)) in loaded.iter().zip(file).enumerate() {
                assert_contains(loaded, file, &format!("{key}/{at}"));
            }
        }
        (loaded, file) => assert_eq!(loaded, file, "{key}"),
    }
}
