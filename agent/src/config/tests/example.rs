//! Scenario: the example of `docs/configuration.md` is generated from the model. Every setting has
//! the value that the model gives as `example`, otherwise its default.

use std::fmt::Write;

use serde_json::Value;

use super::*;
use crate::config::{layers, schema};

/// Maximum width of a value on one line.
const MAX_LINE_WIDTH: usize = 100;

/// Scenario: the generated example is loaded as a settings file.
/// Guarantees: it loads without a problem, and contains every section.
#[test]
fn example_loads_without_problems() {
    let folder = tempfile::tempdir().unwrap();
    let text = example();
    let loaded = load(&inputs(folder.path(), &text)).unwrap();
    assert_eq!(loaded.problems, []);
    for section in layers::defaults().as_object().unwrap().keys() {
        assert!(text.contains(&format!("  \"{section}\": {{\n")), "{section}");
    }
    assert_ne!(loaded.settings, Settings::default());
}

/// Returns a settings file with every setting.
pub(super) fn example() -> String {
    let mut out = String::from("{\n");
    for (at, (section, node)) in schema::model_schema()["properties"].as_object().unwrap().iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let description = node["description"].as_str().unwrap().replace('\n', " ");
        let sentence = description.split_once(". ").map_or(description.as_str(), |(first, _)| first);
        writeln!(out, "  // {}", sentence.trim_end_matches('.')).unwrap();
        write_setting(&mut out, section, node, &layers::defaults()[section], 1);
    }
    out + "}\n"
}

fn write_setting(out: &mut String, name: &str, node: &Value, default: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match (node.get(schema::EXAMPLE), node["properties"].as_object()) {
        (None, Some(children)) => {
            writeln!(out, "{indent}\"{name}\": {{").unwrap();
            for (child, node) in children {
                write_setting(out, child, node, &default[child], depth + 1);
            }
            writeln!(out, "{indent}}},").unwrap();
        }
        (example, _) => {
            let value = example.unwrap_or(default);
            writeln!(out, "{indent}\"{name}\": {},", json(value, depth)).unwrap();
        }
    }
}

/// Returns a value as JSON: on one line if it fits, otherwise with one line for each of its items.
fn json(value: &Value, depth: usize) -> String {
    let (open, close, items): (_, _, Vec<String>) = match value {
        Value::Array(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| json(item, depth + 1)).collect())
        }
        Value::Object(fields) if !fields.is_empty() => {
            ('{', '}', fields.iter().map(|(name, value)| format!("\"{name}\": {}", json(value, depth + 1))).collect())
        }
        single => return single.to_string(),
    };
    let space = if open == '{' { " " } else { "" };
    let line = format!("{open}{space}{}{space}{close}", items.join(", "));
    let indent = "  ".repeat(depth);
    if line.len() + indent.len() <= MAX_LINE_WIDTH && !line.contains('\n') {
        return line;
    }
    let separator = format!(",\n{indent}  ");
    format!("{open}\n{indent}  {},\n{indent}{close}", items.join(&separator))
}
