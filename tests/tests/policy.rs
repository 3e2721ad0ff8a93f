//! Scenario: under Wine, an administrator sets policies with the templates for Group Policy, and
//! the agent reads them.

#![cfg(target_os = "linux")]

use std::fmt::Write;

use insights_agent::config::{Settings, json_schema, setting_keys};
use serde_json::{Value, json};
use test_support::test_env::TestEnv;
use test_support::wine::Wine;

const MACHINE: &str = r"HKLM\SOFTWARE\Policies\InsightsAgent";
const USER: &str = r"HKCU\SOFTWARE\Policies\InsightsAgent";
const TEMPLATE: &str = include_str!("../../installer/policy/InsightsAgent.admx");

/// Scenario: every policy of the template is written to the registry as Group Policy writes it,
/// with a value that is not the default, while the user sets one of the settings with a flag.
/// Guarantees: every policy is in force and is shown as set by the organisation.
#[test]
fn policies_every_one_is_read() {
    let Some(wine) = Wine::start() else { return };
    let values = values_of(&json_schema(), &serde_json::to_value(Settings::default()).unwrap());
    let template = roxmltree::Document::parse(TEMPLATE).unwrap();
    let policies = template.descendants().filter(|node| node.tag_name().name() == "policy");
    let mut file = String::from("\u{feff}Windows Registry Editor Version 5.00\r\n");
    let mut keys = Vec::new();
    for policy in policies {
        let (key, entry) = written(&policy, &values);
        file.push_str(&entry);
        keys.push(key);
    }
    wine.delete_key(MACHINE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.reg");
    std::fs::write(&path, file.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let _ = wine.ok("regedit", &["/S", &format!("Z:{}", path.display()).replace('/', "\\")]);

    let mut env = TestEnv::on(&wine);
    env.set("collector.timeout=1s");
    let shown = env.ok(&["config", "show"]);
    let tree: Value = serde_json::from_str(&env.ok(&["config", "show", "--json"])).unwrap();
    wine.delete_key(MACHINE);
    for key in keys {
        let line =
            shown.lines().find(|line| line.starts_with(&key)).unwrap_or_else(|| panic!("{key} is not in\n{shown}"));
        assert!(line.contains(r"set by your organisation (HKLM\SOFTWARE\Policies\InsightsAgent)"), "{line}");
        let pointer = format!("/{}", key.replace('.', "/"));
        let (is, wanted) = (tree.pointer(&pointer).unwrap(), values.pointer(&pointer).unwrap());
        if line.contains("****") {
            continue;
        }
        assert_eq!(is, wanted, "{key}");
    }
}

/// Scenario: a value is derived from the schema for every setting.
/// Guarantees: the agent accepts all of them together, and each differs from its default.
#[test]
fn policies_derived_values_are_valid() {
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    let values = values_of(&json_schema(), &defaults);
    let settings: Settings = serde_json::from_value(values.clone()).unwrap();
    let read = serde_json::to_value(&settings).unwrap();
    for key in setting_keys().iter().filter(|key| !key.contains("[]")) {
        let pointer = format!("/{}", key.replace('.', "/"));
        assert_ne!(read.pointer(&pointer), defaults.pointer(&pointer), "{key}: give the model an example for it");
    }
}

/// Returns a value that differs from `default` for a setting or section, by its schema: an example
/// if it has one, otherwise a value of its type.
fn values_of(node: &Value, default: &Value) -> Value {
    let node = node["anyOf"].get(0).unwrap_or(node);
    let is =
        |name: &str| node["type"] == name || node["type"].as_array().is_some_and(|all| all.iter().any(|of| of == name));
    if let Some(properties) = node["properties"].as_object() {
        let values = properties.iter().map(|(name, child)| (name.clone(), values_of(child, &default[name])));
        return Value::Object(values.collect());
    }
    let choices = node["oneOf"].as_array().into_iter().flatten().flat_map(|one| match one["enum"].as_array() {
        Some(several) => several.iter().collect::<Vec<_>>(),
        None => vec![&one["const"]],
    });
    let examples = node["examples"].as_array().into_iter().flatten();
    if let Some(value) = examples.chain(choices).find(|value| *value != default) {
        return value.clone();
    }
    if is("boolean") {
        (*default != true).into()
    } else if is("integer") {
        (default.as_u64().unwrap_or_default() + 1).into()
    } else if is("number") {
        0.5.into()
    } else if is("array") {
        json!([values_of(&node["items"], &Value::Null)])
    } else if is("object") {
        json!({ "name": values_of(&node["additionalProperties"], &Value::Null) })
    } else {
        "text".into()
    }
}

/// Returns the setting of a policy, and the registry entry that Group Policy writes for its value.
fn written(policy: &roxmltree::Node<'_, '_>, values: &Value) -> (String, String) {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let name = |node: &roxmltree::Node<'_, '_>| node.attribute("valueName").map(str::to_owned);
    let element = policy.descendants().find(|node| node.attribute("id") == Some("value"));
    let list = element.and_then(|element| element.attribute("key"));
    let key = name(policy).or_else(|| name(&element?)).or_else(|| Some(list?.rsplit('\\').next()?.to_owned())).unwrap();
    let value = values.pointer(&format!("/{}", key.replace('.', "/"))).unwrap();
    let home = format!("\r\n[HKEY_LOCAL_MACHINE\\{}]\r\n", policy.attribute("key").unwrap());
    let Some(element) = element else {
        return (key.clone(), format!("{home}{}={}\r\n", quoted(&key), quoted(&value.to_string())));
    };
    let entry = match element.tag_name().name() {
        "text" | "enum" => format!("{home}{}={}\r\n", quoted(&key), quoted(&text(value))),
        "decimal" => format!("{home}{}=dword:{:08x}\r\n", quoted(&key), value.as_u64().unwrap()),
        "multiText" => {
            let lines = serde_json::to_string_pretty(value).unwrap();
            let multi: Vec<u8> =
                format!("{}\0\0", lines.replace('\n', "\0")).encode_utf16().flat_map(u16::to_le_bytes).collect();
            let bytes: Vec<String> = multi.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{home}{}=hex(7):{}\r\n", quoted(&key), bytes.join(","))
        }
        "list" => {
            let mut entry = format!("\r\n[HKEY_LOCAL_MACHINE\\{}]\r\n", list.unwrap());
            match value {
                Value::Object(map) => {
                    for (name, value) in map {
                        write!(entry, "{}={}\r\n", quoted(name), quoted(&text(value))).unwrap();
                    }
                }
                list => {
                    for (at, value) in list.as_array().unwrap().iter().enumerate() {
                        write!(entry, "\"{}\"={}\r\n", at + 1, quoted(&text(value))).unwrap();
                    }
                }
            }
            entry
        }
        other => panic!("unexpected element of Group Policy: {other}"),
    };
    (key, entry)
}

/// Scenario: policies of user and machine set the same setting, and one policy is invalid.
/// Guarantees: the machine's policy takes precedence; the invalid one is reported, and the agent
/// runs.
#[test]
fn policies_of_machine_take_precedence() {
    let Some(wine) = Wine::start() else { return };
    wine.set(USER, "collector.timeout", "7s");
    wine.set(USER, "host.cpu_threshold", "0.7");
    wine.set(MACHINE, "collector.timeout", "9s");
    wine.set(MACHINE, "collector.protocol", "carrier pigeon");
    let mut env = TestEnv::on(&wine);
    env.set("host.cpu_threshold=0.8");
    env.set("collector.endpoint=http://127.0.0.1:1");
    let shown = env.ok(&["config", "show"]);
    let agent = env.start();
    let status = env.status();
    let _ = env.ok(&["stop"]);
    assert!(agent.wait().success());
    wine.delete_key(USER);
    wine.delete_key(MACHINE);
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(line("collector.timeout").contains("9s") && line("collector.timeout").contains("(HKLM"), "{shown}");
    assert!(line("host.cpu_threshold").contains("0.7") && line("host.cpu_threshold").contains("(HKCU"), "{shown}");
    assert!(status["problems"][0].as_str().unwrap().contains(r"InsightsAgent\collector.protocol"), "{status}");
}
