//! Generates docs/signals.md from the tables of this module. A test keeps the file up to date.

use std::fmt::Write as _;

use super::Attribute;
use super::events::{EVENTS, SCOPE_NAME as EVENTS_SCOPE};
use super::logs::{LOG_ATTRIBUTES, SCOPE_NAME as LOGS_SCOPE};
use super::metrics::{HOST_SCOPE, INTERNAL_SCOPE, Metric, PROCESSES_SCOPE, REQUESTS_SCOPE, USAGE_SCOPE};
use super::spans::{SCOPE_NAME as SPANS_SCOPE, SPANS};

const HEAD: &str = "\
<!-- Generated from agent/src/signals by its tests: `UPDATE_DOCS=1 cargo test -p insights-agent --lib signals`. -->
# Exported data

This page lists every metric, log attribute, event and span that the agent exports.

- **Names** come from OpenTelemetry's semantic conventions where one exists. Other names start with
  `ioconnect.`, or with `insights.agent.` if they are about the agent itself.
- **Units** are UCUM: `1` is a share or a truth value, `By` is bytes, `s` is seconds.
- **Counters** start at 0 when the agent starts.

## Metrics
";

const LOGS_HEAD: &str = "
## Attributes of log records

Values are strings unless the description says otherwise. A record has only the attributes that its
line gives. A W3C `traceparent` in a line sets the trace and span id of the record.
";

/// Returns the text of docs/signals.md.
fn markdown() -> String {
    let mut text = HEAD.to_owned();
    let scopes = [
        (HOST_SCOPE, "Machine"),
        (PROCESSES_SCOPE, "io.Connect processes"),
        (USAGE_SCOPE, "App usage and sessions"),
        (REQUESTS_SCOPE, "Requests of the platform and its apps"),
        (INTERNAL_SCOPE, "The agent itself"),
    ];
    for (scope, title) in scopes {
        let metrics: Vec<&Metric> = super::metrics::all().filter(|metric| metric.scope == scope).collect();
        _ = write!(
            text,
            "\n### {title}: `{scope}`\n\n| name | kind | unit | description | attributes |\n|---|---|---|---|---|\n"
        );
        for metric in &metrics {
            let attributes: Vec<String> = metric.attributes.iter().map(|a| format!("`{}`", a.name)).collect();
            _ = writeln!(
                text,
                "| `{}` | {} | `{}` | {} | {} |",
                metric.name,
                metric.instrument.name(),
                metric.unit,
                metric.description,
                attributes.join(", ")
            );
        }
        let mut attributes: Vec<Attribute> = Vec::new();
        for attribute in metrics.iter().flat_map(|metric| metric.attributes) {
            if !attributes.contains(attribute) {
                attributes.push(*attribute);
            }
        }
        attribute_table(&mut text, &attributes);
    }
    text.push_str(LOGS_HEAD);
    _ = write!(text, "\nScope: `{LOGS_SCOPE}`.\n");
    attribute_table(&mut text, LOG_ATTRIBUTES);
    _ = write!(
        text,
        "\n## Events\n\nLog records with a name, which the agent itself creates. Scope: `{EVENTS_SCOPE}`.\n"
    );
    for event in EVENTS {
        _ = write!(text, "\n### `{}`\n\n{}\n", event.name, event.description);
        attribute_table(&mut text, event.attributes);
    }
    _ = write!(text, "\n## Spans\n\nScope: `{SPANS_SCOPE}`.\n");
    for span in SPANS {
        _ = write!(text, "\n### `{}`\n\n{}\n", span.name, span.description);
        attribute_table(&mut text, span.attributes);
    }
    text
}

fn attribute_table(text: &mut String, attributes: &[Attribute]) {
    text.push_str("\n| attribute | description |\n|---|---|\n");
    for attribute in attributes {
        _ = writeln!(text, "| `{}` | {} |", attribute.name, attribute.description);
    }
}

/// docs/signals.md matches the tables. `UPDATE_DOCS=1` writes it.
#[test]
fn signals_document_matches_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/signals.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(written == markdown(), "docs/signals.md is out of date; regenerate it with UPDATE_DOCS=1 cargo test");
}

/// Every name is unique and has a known prefix, and every unit is valid in UCUM.
#[test]
fn metrics_have_unique_names_and_valid_units() {
    let prefixes = ["system.", "process.", "hw.", "otel.sdk.", "ioconnect.", "insights.agent."];
    for (index, metric) in super::metrics::all().enumerate() {
        assert!(
            super::metrics::all().take(index).all(|other| other.name != metric.name),
            "{} is defined twice",
            metric.name
        );
        assert!(prefixes.iter().any(|prefix| metric.name.starts_with(prefix)), "{metric:?}");
        assert!(["1", "s", "By"].contains(&metric.unit) || metric.unit.starts_with('{'), "{metric:?}");
        assert!(!metric.description.contains('|') && metric.attributes.iter().all(|a| !a.description.contains('|')));
    }
}
