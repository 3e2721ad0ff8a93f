//! Scenario: `docs/configuration.md` and `installer/settings.schema.json` are generated from the
//! model. With `UPDATE_DOCS=1` the tests write the files, otherwise they compare them.

use std::fmt::Write;

use serde_json::Value;

use super::example::example;
use super::*;
use crate::config::{environment::VARIABLES, layers, schema};

/// Scenario: `docs/configuration.md` is generated again.
/// Guarantees: the file in the repository is the same.
#[test]
fn configuration_page_matches_the_model() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    assert_current(&path, &markdown());
}

/// Scenario: the JSON schema is generated again.
/// Guarantees: the file that is shipped is the same.
#[test]
fn shipped_schema_matches_the_model() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installer/settings.schema.json");
    assert_current(&path, &(serde_json::to_string_pretty(&json_schema()).unwrap() + "\n"));
}

/// Scenario: the secrets and maps are derived from the schema.
/// Guarantees: known secrets are masked, and known maps accept keys with dots.
#[test]
fn schema_lists_secrets_and_maps() {
    for secret in ["collector.headers", "collector.oauth2.client_secret", "receiver.token"] {
        assert!(schema::secrets().iter().any(|key| key == secret), "{secret}");
    }
    for map in ["collector.headers", "collector.headers_from", "resource.attributes"] {
        assert!(schema::maps().iter().any(|key| key == map), "{map}");
    }
    assert!(!schema::secrets().iter().any(|key| key == "collector.endpoint"));
}

/// Scenario: the defaults are validated like a settings file.
/// Guarantees: they are valid and result in the default settings.
#[test]
fn defaults_are_valid() {
    let defaults = layers::defaults();
    assert!(defaults.is_object());
    assert_eq!(super::super::check::check(&defaults).unwrap(), Settings::default());
}

/// Compares a generated file with the one in the repository; with `UPDATE_DOCS=1` writes it first.
pub(super) fn assert_current(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, expected).unwrap();
    }
    let actual = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(actual == expected, "{} is out of date; run the tests with UPDATE_DOCS=1", path.display());
}

fn markdown() -> String {
    let schema = schema::model_schema();
    let defaults = layers::defaults();
    let mut out = String::from(INTRODUCTION);
    for (section, node) in schema["properties"].as_object().unwrap() {
        writeln!(out, "### {section}\n\n{}\n", one_line(&node["description"])).unwrap();
        out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        rows(&mut out, node, section, &defaults);
        out.push('\n');
    }
    out.push_str(VARIABLES_INTRODUCTION);
    for variable in VARIABLES.into_iter().flatten() {
        writeln!(out, "| `{}` | `{}` | {} |", variable.name, variable.key, variable.form).unwrap();
    }
    write!(out, "{EXAMPLE_INTRODUCTION}```jsonc\n{}```\n", example()).unwrap();
    out
}

/// Writes a row for each setting below `node`, and one for each section in front of its settings.
fn rows(out: &mut String, node: &Value, above: &str, defaults: &Value) {
    for (name, node) in node["properties"].as_object().into_iter().flatten() {
        let key = format!("{above}.{name}");
        let default = defaults.pointer(&format!("/{}", key.replace('.', "/")));
        let default = default.or(node.get("default")).filter(|value| !value.is_null());
        let is_section = node["properties"].is_object();
        let default = default.filter(|_| !is_section).map(|value| format!("`{value}`")).unwrap_or_default();
        let kind = if is_section { "section".to_owned() } else { type_name(node) };
        let meaning = one_line(&node["description"]) + &choices(node);
        writeln!(out, "| `{key}` | {kind} | {default} | {meaning} |").unwrap();
        rows(out, node, &key, defaults);
        rows(out, &node["items"], &format!("{key}[]"), defaults);
    }
}

pub(super) fn one_line(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn choices(node: &Value) -> String {
    let mut out = String::new();
    for choice in node["oneOf"].as_array().into_iter().flatten() {
        write!(out, "<br>`{}`: {}", choice["const"], one_line(&choice["description"])).unwrap();
    }
    out
}

pub(super) fn type_name(node: &Value) -> String {
    if let Some(optional) = node["anyOf"].as_array() {
        return type_name(&optional[0]);
    }
    if let Some(title) = node["title"].as_str() {
        return title.to_owned();
    }
    if node["oneOf"].is_array() {
        return "choice".to_owned();
    }
    if node["additionalProperties"].is_object() {
        return format!("object: name to {}", type_name(&node["additionalProperties"]));
    }
    let types: Vec<&str> = match &node["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        name => name.as_str().into_iter().collect(),
    };
    match types.as_slice() {
        ["string"] => "text".to_owned(),
        ["integer"] => "whole number".to_owned(),
        ["boolean"] => "`true` or `false`".to_owned(),
        ["array"] => format!("list of {}", type_name(&node["items"])),
        ["object"] => "object".to_owned(),
        other => panic!("no name for {other:?} of {node}"),
    }
}

const INTRODUCTION: &str = "# Configuration

<!-- Generated from agent/src/config/model by its tests. Change the doc comments there, then run the tests with UPDATE_DOCS=1. -->

The agent works without any configuration: it measures this machine and sends to a collector on the
same machine, at `http://localhost:4317`.

## Where settings come from

Each layer overrides the layers before it:

1. The defaults listed below.
2. io.Connect's settings for io.Insights, if `connect.use_insights_settings` is on (see below).
3. Windows only: the registry key `SOFTWARE\\InsightsAgent\\Settings`, first of the machine
   (`HKLM`), then of the user (`HKCU`). The installer writes its parameters there.
4. The user's settings file.
5. The standard `OTEL_*` environment variables.
6. Command-line flags: `--set key=value`, for example `--set collector.protocol=http/protobuf`.
7. Policies of the organisation, which nobody else can change. On Windows: the registry key
   `SOFTWARE\\Policies\\InsightsAgent`, first of the user, then of the machine. On Linux:
   `/etc/insights-agent/policy.json`.

Objects are merged key by key, so a higher layer can add a header or an attribute. Lists are
replaced as a whole.

`insights-agent config show` prints every setting with its value and where it comes from. Secrets
are masked.

## The settings file

| system | path |
| --- | --- |
| Linux | `$XDG_CONFIG_HOME/insights-agent/config.json`, or `~/.config/insights-agent/config.json` |
| Windows | `%AppData%\\insights-agent\\config.json` |

The file is optional. `insights-agent config show` prints which file is read.

**Format.** JSON in UTF-8, at most 1 MiB. Comments (`// ...`, `/* ... */`) and trailing commas are
allowed. Unknown keys, duplicate keys and invalid values are errors, reported with line and column.

**If the file breaks.** A running agent keeps a copy of the last file that worked. If the file is
broken later, the agent uses that copy and reports the error.

**Changes.** A running agent checks every 5 s whether its settings have changed. If so, it restarts
the affected parts with the new settings. No data is lost.

**Editor support.** Editors that know JSON Schema can complete and check the file. The schema is
part of the release as `settings.schema.json` (on Debian in `/usr/share/insights-agent`), and
`insights-agent config schema` prints it. The file may refer to it with the key `$schema`.

## Policies

**Windows.** The folder `installer/policy` contains templates for Group Policy and Intune, with a
policy for every setting below. A registry value has the name of its setting, for example
`collector.endpoint`. Its data is text as after `--set`. Headers and attributes can also be written
as `name=value,name=value` with percent-encoded values, and numbers also mean `false` (0) and `true`
(1). A map or list can also be a registry key with the name of the setting and one value per entry.
An invalid value is reported and ignored.

**Linux.** The policy file has the same format as the user's file. It must be owned by root and
writable by root only. If the policy file is invalid, the agent does not start, and a running agent
keeps its current settings. Otherwise the agent would allow what the policy forbids.

## io.Insights settings

With `connect.use_insights_settings`, the agent uses these settings from io.Connect's `system.json`,
section `insights`, otherwise `otel`, if `enabled` is `true` there. `%VAR%` and `%VAR?default%` are
expanded.

| io.Insights | agent |
| --- | --- |
| `metrics.url`, `traces.url`, `logs.url` | `collector.metrics.endpoint`, ..., used unchanged, with the protocol `http/json`, which io.Insights uses. The address of the agent's own receiver is ignored. |
| the same, if it ends with `/v1/metrics`, ... | The part before that is `collector.endpoint`, for signals without an address. |
| `headers`, and `headers` of a signal | `collector.headers`; `collector.metrics.headers`, ... |
| `additionalResourceAttributes` | `resource.attributes` |
| `logs.filters[].hideRegex` | Added to `logs.redaction.patterns`, for all records. |
| `logs.filters[]` with `enabled: false` and no conditions except `categoryName` and `bodyRegex` | Added to `logs.filters`. |

If the agent's own settings contain a collector address (`collector.endpoint`, or that of a signal),
neither addresses nor headers are used: they belong to another collector.

Nothing else is used. The single sign-on tokens of io.Insights (`useSSOAuth`) are not available
outside the platform.

## Settings

- **duration**: a number with a unit (`500ms`, `10s`, `2m 30s`, `36h`, `14d`), from `10ms` to
  `365d`.
- **size**: a whole number with a unit (`B`, `KiB`, `MiB`, `GiB`), or a number of bytes.
- **text with variables**: `%VAR%` and `%VAR?default%` are replaced by environment variables.

";

const VARIABLES_INTRODUCTION: &str = "## Environment variables

These are the variables of the OpenTelemetry specifications for [environment
variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) and
the [OTLP exporter](https://opentelemetry.io/docs/specs/otel/protocol/exporter/). An empty variable
counts as unset. An invalid value is reported and ignored. `OTEL_SERVICE_NAME` takes precedence over
`service.name` in `OTEL_RESOURCE_ATTRIBUTES`.

| variable | setting | format |
| --- | --- | --- |
";

const EXAMPLE_INTRODUCTION: &str = "
## Example

This example contains every setting. A real file contains only what differs from the defaults.

";
