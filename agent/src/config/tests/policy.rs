//! Scenario: the templates for Group Policy (ADMX, ADML) are generated from the model. With
//! `UPDATE_DOCS=1` the tests write the files, otherwise they compare them. Format:
//! <https://learn.microsoft.com/previous-versions/windows/desktop/policy/admx-schema>.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use super::docs::{assert_current, one_line, type_name};
use super::*;
use crate::config::{layers, schema};

/// Registry key that [`crate::startup`] reads policies from.
const KEY: &str = r"SOFTWARE\Policies\InsightsAgent";
/// Maximum length of a list of objects as text. A registry value can hold far more.
const MAX_TEXT_LENGTH: u32 = 65_535;

/// Scenario: the templates are generated again.
/// Guarantees: the files that are shipped are the same.
#[test]
fn policy_templates_match_the_model() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installer/policy");
    let Templates { definitions, resources } = templates();
    for (name, expected) in [("InsightsAgent.admx", definitions), ("en-US/InsightsAgent.adml", resources)] {
        assert_current(&folder.join(name), &expected);
    }
}

/// Scenario: both templates are parsed as XML.
/// Guarantees: every string and presentation that one refers to is in the other, every control has
/// its element, and every setting has a policy.
#[test]
fn policy_templates_refer_to_each_other() {
    let Templates { definitions, resources } = templates();
    let definitions = roxmltree::Document::parse(&definitions).unwrap();
    let resources = roxmltree::Document::parse(&resources).unwrap();
    let named = |table: &str| -> BTreeSet<String> {
        let found = definitions.descendants().flat_map(|node| node.attributes());
        let prefix = format!("$({table}.");
        found.filter_map(|one| Some(one.value().strip_prefix(&prefix)?.strip_suffix(')')?.to_owned())).collect()
    };
    let there = |element: &str| -> BTreeSet<String> {
        let found =
            resources.descendants().filter(|node| node.has_tag_name(element) || node.tag_name().name() == element);
        found.filter_map(|node| node.attribute("id").map(str::to_owned)).collect()
    };
    assert_eq!(named("string"), there("string"));
    assert_eq!(named("presentation"), there("presentation"));
    let identifiers = |document: &roxmltree::Document<'_>, attribute: &str| {
        document.descendants().filter(|node| node.attribute(attribute) == Some("value")).count()
    };
    assert_eq!(identifiers(&definitions, "id"), identifiers(&resources, "refId"));
    let policies = definitions.descendants().filter(|node| node.tag_name().name() == "policy").count();
    assert_eq!(policies, settings().len(), "every setting has a policy");
}

struct Templates {
    definitions: String,
    resources: String,
}

/// Returns every setting with a policy: all except the fields of list items, because a list of
/// objects is one text.
fn settings() -> Vec<(String, Value)> {
    let all = schema::properties(schema::model_schema(), "");
    all.into_iter().filter(|(key, _)| !key.contains("[]")).collect()
}

/// The control for a setting in the Group Policy editor.
enum Control {
    Switch,
    Choice(Vec<String>),
    Number,
    Text,
    List,
    Map,
    Objects,
}

fn control(key: &str, node: &Value) -> Control {
    let node = node["anyOf"].get(0).unwrap_or(node);
    if schema::maps().iter().any(|map| map == key) {
        return Control::Map;
    }
    if let Some(choices) = node["oneOf"].as_array() {
        let choices = choices.iter().flat_map(|one| match one["enum"].as_array() {
            Some(several) => several.iter().collect::<Vec<_>>(),
            None => vec![&one["const"]],
        });
        return Control::Choice(choices.map(|one| one.as_str().unwrap().to_owned()).collect());
    }
    let is =
        |name: &str| node["type"] == name || node["type"].as_array().is_some_and(|all| all.iter().any(|of| of == name));
    if is("boolean") {
        Control::Switch
    } else if is("integer") && !is("string") {
        Control::Number
    } else if is("array") {
        if node["items"]["properties"].is_object() { Control::Objects } else { Control::List }
    } else {
        Control::Text
    }
}

fn templates() -> Templates {
    let schema = schema::model_schema();
    let (mut categories, mut policies) = (String::new(), String::new());
    let mut strings = String::new();
    let mut presentations = String::new();
    let mut string =
        |id: &str, text: &str| writeln!(strings, "      <string id=\"{id}\">{}</string>", xml(text)).unwrap();
    string("InsightsAgent", "Insights Agent");
    string("SUPPORTED", "Insights Agent 0.1 and later");
    for (section, node) in schema["properties"].as_object().unwrap() {
        string(section, &format!("{section}: {}", first_sentence(node)));
        writeln!(
            categories,
            "    <category name=\"{section}\" displayName=\"$(string.{section})\"><parentCategory ref=\"InsightsAgent\" /></category>"
        )
        .unwrap();
    }
    let defaults = layers::defaults();
    for (key, node) in settings() {
        let id = key.replace('.', "_");
        let (section, group) = (key.split('.').next().unwrap(), group_description(&key));
        let default = defaults.pointer(&format!("/{}", key.replace('.', "/"))).filter(|value| !value.is_null());
        let default = default.map(|value| format!("\n\nDefault: {value}")).unwrap_or_default();
        string(&id, &key);
        string(
            &format!("{id}_help"),
            &format!("{group}{}\n\nType: {}{default}", one_line(&node["description"]), type_name(&node)),
        );

        let head = format!(
            "    <policy name=\"{id}\" class=\"Both\" displayName=\"$(string.{id})\" explainText=\"$(string.{id}_help)\" key=\"{KEY}\""
        );
        let place = format!("      <parentCategory ref=\"{section}\" />\n      <supportedOn ref=\"SUPPORTED\" />\n");
        let value = format!("valueName=\"{key}\"");
        let (element, shown) = match control(&key, &node) {
            Control::Switch => {
                let is = |text: &str| format!("<string>{text}</string>");
                writeln!(
                    policies,
                    "{head} {value}>\n{place}      <enabledValue>{}</enabledValue>\n      <disabledValue>{}</disabledValue>\n    </policy>",
                    is("true"),
                    is("false")
                )
                .unwrap();
                continue;
            }
            Control::Choice(choices) => {
                let mut items = String::new();
                for choice in choices {
                    let item = format!("{id}_{}", choice.replace(|letter: char| !letter.is_alphanumeric(), "_"));
                    string(&item, &choice);
                    write!(
                        items,
                        "<item displayName=\"$(string.{item})\"><value><string>{choice}</string></value></item>"
                    )
                    .unwrap();
                }
                let element = format!("<enum id=\"value\" {value} required=\"true\">{items}</enum>");
                (element, format!("<dropdownList refId=\"value\" noSort=\"true\">{key}</dropdownList>"))
            }
            Control::Number => (
                format!("<decimal id=\"value\" {value} required=\"true\" minValue=\"0\" maxValue=\"{}\" />", u32::MAX),
                format!("<decimalTextBox refId=\"value\">{key}</decimalTextBox>"),
            ),
            Control::Text => (
                format!("<text id=\"value\" {value} required=\"true\" />"),
                format!("<textBox refId=\"value\"><label>{key}</label></textBox>"),
            ),
            Control::List => (
                format!("<list id=\"value\" key=\"{KEY}\\{key}\" valuePrefix=\"\" />"),
                format!("<listBox refId=\"value\" required=\"true\">{key}</listBox>"),
            ),
            Control::Map => (
                format!("<list id=\"value\" key=\"{KEY}\\{key}\" explicitValue=\"true\" />"),
                format!("<listBox refId=\"value\" required=\"true\">{key}</listBox>"),
            ),
            Control::Objects => (
                format!("<multiText id=\"value\" {value} required=\"true\" maxLength=\"{MAX_TEXT_LENGTH}\" />"),
                format!("<multiTextBox refId=\"value\" defaultHeight=\"10\">{key}</multiTextBox>"),
            ),
        };
        writeln!(
            policies,
            "{head} presentation=\"$(presentation.{id})\">\n{place}      <elements>{element}</elements>\n    </policy>"
        )
        .unwrap();
        writeln!(presentations, "      <presentation id=\"{id}\">{shown}</presentation>").unwrap();
    }
    Templates {
        definitions: format!(
            "{DEFINITIONS_HEAD}{categories}{DEFINITIONS_MIDDLE}{policies}  </policies>\n</policyDefinitions>\n"
        ),
        resources: format!(
            "{RESOURCES_HEAD}{strings}    </stringTable>\n    <presentationTable>\n{presentations}    </presentationTable>\n  \
             </resources>\n</policyDefinitionResources>\n"
        ),
    }
}

/// Returns the first sentence of a description, without its full stop.
fn first_sentence(node: &Value) -> String {
    let text = one_line(&node["description"]);
    text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

/// Returns the description of the group inside a section that a setting is in, as a paragraph: the
/// help of `collector.fallback.endpoint` must say what `collector.fallback` is.
fn group_description(key: &str) -> String {
    let mut node = schema::model_schema();
    let mut paragraphs = String::new();
    for (depth, step) in key.split('.').enumerate() {
        node = &node["properties"][step];
        if depth > 0 && node["properties"].is_object() {
            write!(paragraphs, "{}\n\n", one_line(&node["description"])).unwrap();
        }
    }
    paragraphs
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "")
}

const DEFINITIONS_HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<!-- Generated from agent/src/config/model by its tests (UPDATE_DOCS=1): a policy for every setting. -->
<policyDefinitions xmlns="http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions" revision="1.0" schemaVersion="1.0">
  <policyNamespaces>
    <target prefix="insights" namespace="InsightsAgent.Policies" />
  </policyNamespaces>
  <resources minRequiredRevision="1.0" />
  <supportedOn>
    <definitions>
      <definition name="SUPPORTED" displayName="$(string.SUPPORTED)" />
    </definitions>
  </supportedOn>
  <categories>
    <category name="InsightsAgent" displayName="$(string.InsightsAgent)" />
"#;

const DEFINITIONS_MIDDLE: &str = "  </categories>\n  <policies>\n";

const RESOURCES_HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<!-- Generated from agent/src/config/model by its tests (UPDATE_DOCS=1). -->
<policyDefinitionResources xmlns="http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions" revision="1.0" schemaVersion="1.0">
  <displayName>Insights Agent</displayName>
  <description>Policies for the settings of Insights Agent</description>
  <resources>
    <stringTable>
"#;
