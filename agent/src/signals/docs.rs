//! docs/signals.md, made from the tables of this module and kept equal to them by a test.

use std::fmt::Write as _;

use super::Attribute;
use super::events::{EVENTS, SCOPE_NAME as EVENTS_SCOPE};
use super::logs::{LOG_ATTRIBUTES, SCOPE_NAME as LOGS_SCOPE};
use super::metrics::{HOST_SCOPE, INTERNAL_SCOPE, METRICS, Metric, PROCESSES_SCOPE, REQUESTS_SCOPE, USAGE_SCOPE};
use super::spans::{SCOPE_NAME as SPANS_SCOPE, SPANS};

const HEAD: &str = "\
<!-- Made from agent/src/signals by its tests: `UPDATE_DOCS=1 cargo test -p insights-agent --lib signals`. -->
# What is sent

Names are those of OpenTelemetry's semantic conventions where one exists; what has none begins with `ioconnect.`, and what
is about the agent itself with `insights.agent.`. Units are UCUM: `1` is a share or a truth value, `By` bytes, `s` seconds. Counters start at 0 when the agent starts.

## Metrics
";

const LOGS_HEAD: &str = "
## Attributes of log records

Strings, where nothing else is said. Only what a line says is there. A W3C `traceparent` in a line becomes the trace
and span id of its record.
";

/// The text of docs/signals.md.
fn markdown() -> String {
    let mut text = HEAD.to_owned();
    let scopes = [
        (HOST_SCOPE, "The machine"),
        (PROCESSES_SCOPE, "The processes of io.Connect"),
        (USAGE_SCOPE, "Use of apps, sessions"),
        (REQUESTS_SCOPE, "Requests of the platform and its apps"),
        (INTERNAL_SCOPE, "The agent itself"),
    ];
    for (scope, title) in scopes {
        let metrics: Vec<&Metric> = METRICS.iter().filter(|metric| metric.scope == scope).collect();
        _ = write!(
            text,
            "\n### {title}: `{scope}`\n\n| name | kind | unit | meaning | attributes |\n|---|---|---|---|---|\n"
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
        "\n## Events\n\nLog records with a name, which the agent writes of itself. Scope: `{EVENTS_SCOPE}`.\n"
    );
    for event in EVENTS {
        _ = write!(text, "\n### `{}`\n\n{}\n", event.name, event.meaning);
        attribute_table(&mut text, event.attributes);
    }
    _ = write!(text, "\n## Spans\n\nScope: `{SPANS_SCOPE}`.\n");
    for span in SPANS {
        _ = write!(text, "\n### `{}`\n\n{}\n", span.name, span.meaning);
        attribute_table(&mut text, span.attributes);
    }
    text
}

fn attribute_table(text: &mut String, attributes: &[Attribute]) {
    text.push_str("\n| attribute | meaning |\n|---|---|\n");
    for attribute in attributes {
        _ = writeln!(text, "| `{}` | {} |", attribute.name, attribute.meaning);
    }
}

/// The document says what the tables say. `UPDATE_DOCS=1` writes it.
#[test]
fn the_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/signals.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(written == markdown(), "docs/signals.md is out of date; write it with UPDATE_DOCS=1 cargo test");
}

/// Every name is there once, is a semantic convention's or the company's own, and has a unit that UCUM knows.
#[test]
fn names_and_units_are_sound() {
    let known = ["system.", "process.", "hw.", "otel.sdk.", "ioconnect.", "insights.agent."];
    for (index, metric) in METRICS.iter().enumerate() {
        assert!(METRICS[..index].iter().all(|other| other.name != metric.name), "{} twice", metric.name);
        assert!(known.iter().any(|prefix| metric.name.starts_with(prefix)), "{metric:?}");
        assert!(["1", "s", "By"].contains(&metric.unit) || metric.unit.starts_with('{'), "{metric:?}");
        assert!(!metric.description.contains('|') && metric.attributes.iter().all(|a| !a.meaning.contains('|')));
    }
}
