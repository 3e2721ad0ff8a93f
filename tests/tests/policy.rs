//! The templates for Group Policy, and the agent that reads what they write, under Wine.

#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(target_os = "linux")]

use std::fmt::Write;

use insights_agent_tests::program::Desk;
use insights_agent_tests::wine::Wine;
use serde_json::{Value, json};

const MACHINE: &str = r"HKLM\SOFTWARE\Policies\InsightsAgent";
const USER: &str = r"HKCU\SOFTWARE\Policies\InsightsAgent";
/// An example of every setting, none of which is its default.
const EXAMPLE: &str = include_str!("../../agent/src/config/example.jsonc");
const TEMPLATE: &str = include_str!("../../installer/policy/InsightsAgent.admx");

/// Guarantees: each policy that the template offers, written as Group Policy writes it, is in force afterwards and is said to
/// be the organisation's, whatever the user sets.
#[test]
fn every_policy_is_read() {
    let Some(wine) = Wine::start() else { return };
    let mut example = EXAMPLE.to_owned();
    json_strip_comments::strip(&mut example).unwrap();
    let mut example: Value = serde_json::from_str(&example).unwrap();
    complete(&mut example);
    let template = roxmltree::Document::parse(TEMPLATE).unwrap();
    let policies = template.descendants().filter(|node| node.tag_name().name() == "policy");
    let mut file = String::from("\u{feff}Windows Registry Editor Version 5.00\r\n");
    let mut keys = Vec::new();
    for policy in policies {
        let (key, entry) = written(&policy, &mut example);
        file.push_str(&entry);
        keys.push(key);
    }
    wine.forget(MACHINE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.reg");
    std::fs::write(&path, file.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let _ = wine.ok("regedit", &["/S", &format!("Z:{}", path.display()).replace('/', "\\")]);

    let mut desk = Desk::on(&wine);
    desk.set("collector.timeout=1s");
    let shown = desk.ok(&["config", "show"]);
    let tree: Value = serde_json::from_str(&desk.ok(&["config", "show", "--json"])).unwrap();
    wine.forget(MACHINE);
    for key in keys {
        let line =
            shown.lines().find(|line| line.starts_with(&key)).unwrap_or_else(|| panic!("{key} is not in\n{shown}"));
        assert!(line.contains(r"set by your organisation (HKLM\SOFTWARE\Policies\InsightsAgent)"), "{line}");
        let pointer = format!("/{}", key.replace('.', "/"));
        let (is, wanted) = (tree.pointer(&pointer).unwrap(), example.pointer(&pointer).unwrap());
        if line.contains("****") {
            continue;
        }
        assert_eq!(is, wanted, "{key}");
    }
}

/// What the example leaves out or open, and is neither a text nor a switch.
fn complete(example: &mut Value) {
    let usual = json!({
        "endpoint": "https://other.example.com:4317",
        "protocol": "grpc",
        "headers": { "x-tenant": "desks" },
        "compression": "zstd",
        "timeout": "5s",
        "certificate": "other.pem",
        "client_certificate": "desk.pem",
        "client_key": "desk.key",
    });
    let collector = example["collector"].as_object_mut().unwrap();
    for destination in ["metrics", "traces", "logs", "fallback"] {
        let destination = collector[destination].as_object_mut().unwrap();
        for (key, value) in usual.as_object().unwrap() {
            destination.entry(key).or_insert_with(|| value.clone());
        }
    }
    collector["proxy"]["password_from"] = "env:PROXY_PASSWORD".into();
    collector["client_certificate_thumbprint"] = "a909502dd82ae41433e6f83886b00d4277a32a7b".into();
}

/// The setting of a policy, and what Group Policy writes for it when it is given the example's value.
fn written(policy: &roxmltree::Node<'_, '_>, example: &mut Value) -> (String, String) {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let name = |node: &roxmltree::Node<'_, '_>| node.attribute("valueName").map(str::to_owned);
    let element = policy.descendants().find(|node| node.attribute("id") == Some("value"));
    let list = element.and_then(|element| element.attribute("key"));
    let key = name(policy).or_else(|| name(&element?)).or_else(|| Some(list?.rsplit('\\').next()?.to_owned())).unwrap();
    let value = example.pointer_mut(&format!("/{}", key.replace('.', "/"))).unwrap();
    if value.is_null() {
        // What the example leaves open is a text or a switch.
        *value = if element.is_some() { "text".into() } else { true.into() };
    }
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
        other => panic!("Group Policy's {other} is not known here"),
    };
    (key, entry)
}

/// Guarantees: of two policies that of the machine wins; a wrong one is said, and the agent runs all the same.
#[test]
fn the_machines_policy_wins() {
    let Some(wine) = Wine::start() else { return };
    wine.set(USER, "collector.timeout", "7s");
    wine.set(USER, "host.cpu_threshold", "0.7");
    wine.set(MACHINE, "collector.timeout", "9s");
    wine.set(MACHINE, "collector.protocol", "carrier pigeon");
    let mut desk = Desk::on(&wine);
    desk.set("host.cpu_threshold=0.8");
    desk.set("collector.endpoint=http://127.0.0.1:1");
    let shown = desk.ok(&["config", "show"]);
    let agent = desk.start();
    let status = desk.status();
    let _ = desk.ok(&["stop"]);
    assert!(agent.wait().success());
    wine.forget(USER);
    wine.forget(MACHINE);
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(line("collector.timeout").contains("9s") && line("collector.timeout").contains("(HKLM"), "{shown}");
    assert!(line("host.cpu_threshold").contains("0.7") && line("host.cpu_threshold").contains("(HKCU"), "{shown}");
    assert!(status["problems"][0].as_str().unwrap().contains(r"InsightsAgent\collector.protocol"), "{status}");
}
