//! `docs/configuration.md` is made from the model: `UPDATE_DOCS=1` writes it, without it the test compares.

use std::fmt::Write;

use serde_json::Value;

use super::*;
use crate::config::{environment::VARIABLES, key, layers};

const EXAMPLE: &str = include_str!("../example.jsonc");

/// The documentation says what the code does, word for word.
#[test]
fn documentation_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let expected = markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(actual == expected, "docs/configuration.md is not current; run the tests with UPDATE_DOCS=1");
}

/// The schema that is shipped is that of the code.
#[test]
fn schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installer/settings.schema.json");
    let expected = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(actual == expected, "installer/settings.schema.json is not current; run the tests with UPDATE_DOCS=1");
}

/// The example of the documentation loads as it stands, and shows every setting there is.
#[test]
fn example_loads_and_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&inputs(folder.path(), EXAMPLE)).unwrap();
    assert_eq!(loaded.problems, []);
    for (key, _) in properties(&json_schema(), "") {
        let name = key.rsplit('.').next().unwrap();
        assert!(EXAMPLE.contains(&format!("\"{name}\":")), "{key}");
    }
}

/// The lists that masking and the keys of flags rest on agree with the model.
#[test]
fn secrets_and_maps_are_those_of_the_schema() {
    let secret =
        |node: &Value| node["title"] == "secret text" || node["additionalProperties"]["title"] == "secret text";
    let named = |which: &dyn Fn(&Value) -> bool| -> Vec<String> {
        properties(&json_schema(), "").into_iter().filter(|(_, node)| which(node)).map(|(key, _)| key).collect()
    };
    assert_eq!(named(&secret), key::SECRETS);
    assert_eq!(named(&|node| node["additionalProperties"].is_object()), key::MAPS);
}

/// Every default of the model passes its own checks.
#[test]
fn defaults_are_valid() {
    let defaults = layers::defaults();
    assert!(defaults.is_object());
    assert_eq!(super::super::check::check(&defaults).unwrap(), Settings::default());
}

/// All settings below `node`, objects with keys of their own left out: path and schema.
pub(super) fn properties(node: &Value, above: &str) -> Vec<(String, Value)> {
    let Some(children) = node["properties"].as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for (name, child) in children {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let below = properties(child, &key);
        if below.is_empty() {
            found.push((key.clone(), child.clone()));
            found.extend(properties(&child["items"], &format!("{key}[]")));
        } else {
            found.extend(below);
        }
    }
    found
}

fn markdown() -> String {
    let schema = json_schema();
    let defaults = layers::defaults();
    let mut out = String::from(INTRODUCTION);
    for (room, node) in schema["properties"].as_object().unwrap() {
        writeln!(out, "### {room}\n\n{}\n", one_line(&node["description"])).unwrap();
        out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        for (key, node) in properties(node, room) {
            let default = defaults.pointer(&format!("/{}", key.replace('.', "/")));
            let default = default.or(node.get("default")).filter(|value| !value.is_null());
            let default = default.map(|value| format!("`{value}`")).unwrap_or_default();
            let meaning = one_line(&node["description"]) + &choices(&node);
            writeln!(out, "| `{key}` | {} | {default} | {meaning} |", type_name(&node)).unwrap();
        }
        out.push('\n');
    }
    out.push_str(VARIABLES_INTRODUCTION);
    for variable in VARIABLES.into_iter().flatten() {
        writeln!(out, "| `{}` | `{}` | {} |", variable.name, variable.key, variable.form).unwrap();
    }
    write!(out, "{EXAMPLE_INTRODUCTION}```jsonc\n{EXAMPLE}```\n").unwrap();
    out
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

<!-- Made from agent/src/config by its tests. To change it, change the doc comments there and run the tests with UPDATE_DOCS=1. -->

Without any configuration the agent measures this machine and sends to a collector on it: `http://localhost:4317`.

## Where settings come from

Each layer overrides the ones before it:

1. the defaults below,
2. with `connect.use_insights_settings`, what io.Connect's own settings say of io.Insights (see below),
3. on Windows, what the installer was given: the registry's `SOFTWARE\\InsightsAgent\\Settings`, of the machine (`HKLM`),
   then of the user (`HKCU`),
4. the user's file,
5. the standard `OTEL_*` variables of the environment,
6. flags of the command line: `--set key=value`, as in `--set collector.protocol=http/protobuf`,
7. the policies of the organisation, which nobody else can change: on Windows `SOFTWARE\\Policies\\InsightsAgent` of the
   registry, of the user, then of the machine; on Linux `/etc/insights-agent/policy.json`.

Objects merge key by key, so that a layer above can add a header or an attribute. Lists replace each other as a whole.
`insights-agent config show` prints every setting with its value and where it comes from, secrets masked.

## The file

| system | place |
| --- | --- |
| Linux | `$XDG_CONFIG_HOME/insights-agent/config.json`, or `~/.config/insights-agent/config.json` |
| Windows | `%AppData%\\insights-agent\\config.json` |

It need not be there. `insights-agent config show` tells which file is read. It is JSON in UTF-8, at most 1 MiB, and may
have comments (`// ...`, `/* ... */`) and trailing commas. An unknown key, a key that stands twice and a value that is not
allowed are errors, shown with line and column. A running agent keeps a copy of the last file that worked: if the file
breaks, the settings of that copy stay in force and the error is reported.

Editors that know JSON Schema complete and check it: the schema is in the release as `settings.schema.json`, on Debian in
`/usr/share/insights-agent`, and `insights-agent config schema` prints it. The file may name it under `$schema`.

A running agent looks every 5 s whether its settings have changed, and carries out what has without losing anything: it ends
its parts, and starts them with the new settings.

## Policies

installer/policy has the templates for Group Policy and Intune, with a policy for every setting below. In the registry a
value is named as its setting, as in `collector.endpoint`. Its data is text as it follows `--set`, headers and attributes also
as `name=value,name=value` with percent-encoded values; a number also stands for `false` (0) and `true` (1). A map or a list
can also be a key of the setting's name, with a value for each entry. A wrong value is reported and ignored.

On Linux the policy is a file of the same form as the user's. It has to belong to root, and to be writable by nobody else. With a
policy that cannot be used the agent does not start, and a running one goes on with what it has: otherwise what the policy
forbids would be allowed.

## io.Insights' settings

With `connect.use_insights_settings` these parts of `system.json` count, from `insights`, else `otel`, if `enabled` is `true`
there. `%VAR%` and `%VAR?default%` are put in.

| io.Insights | the agent |
| --- | --- |
| `metrics.url`, `traces.url`, `logs.url` | `collector.metrics.endpoint`, ..., used as it is, with `http/json`, which is what io.Insights sends. An address of the agent's own receiver is left out |
| the same, if it ends with `/v1/metrics`, ... | what stands before that is `collector.endpoint`, for signals without an address |
| `headers`; those of a section | `collector.headers`; `collector.metrics.headers`, ... |
| `additionalResourceAttributes` | `resource.attributes` |
| `logs.filters[].hideRegex` | added to `logs.redaction.patterns`, for all records |
| `logs.filters[]` with `enabled: false`, by `categoryName` and `bodyRegex` only | added to `logs.filters` |

Where the agent itself is told an address (`collector.endpoint`, or that of a signal), neither addresses nor headers are taken: they
are for another collector.

Nothing else is taken: its tokens of single sign-on (`useSSOAuth`) are not to be had outside of the platform.

## Settings

A duration is a number with its unit (`500ms`, `10s`, `2m 30s`, `36h`, `14d`), from `10ms` to `365d`. An amount of bytes is
a whole number with its unit (`B`, `KiB`, `MiB`, `GiB`) or a number of bytes. In a text with variables, `%VAR%` and
`%VAR?default%` stand for variables of the environment.

";

const VARIABLES_INTRODUCTION: &str = "## Variables of the environment

As OpenTelemetry has them in its [environment variable](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)
and [OTLP exporter](https://opentelemetry.io/docs/specs/otel/protocol/exporter/) specifications. An empty variable counts as
not set; a wrong value is reported and ignored. `OTEL_SERVICE_NAME` wins over a `service.name` in `OTEL_RESOURCE_ATTRIBUTES`.

| variable | sets | written as |
| --- | --- | --- |
";

const EXAMPLE_INTRODUCTION: &str = "
## Example

Every setting there is; a real file holds only what differs from the defaults.

";
