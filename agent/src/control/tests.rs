//! Scenario: `ui/protocol.d.ts`, the types that the window's code is checked with, is generated
//! from serialised replies. With `UPDATE_DOCS=1` the test writes the file, otherwise it compares.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::config::SettingLine;
use crate::consent::{Consent, Decider, Decision, LogKind};
use crate::otlp::Signal;
use crate::pipeline::exporter::{Delivery, Probe, Problem, SentBatch};
use crate::recent_load::{LastHour, Minute};
use crate::session::SessionState;
use crate::status::tests::snapshot;
use crate::usage::{AppUsage, Day};

/// Objects whose keys are data, such as names of apps.
const MAPS: [&str; 3] = ["apps", "counters", "states"];
/// Parts of the status that the window does not read.
const UNUSED: [&str; 8] =
    ["host", "processes", "focus", "receiver", "problems", "saving", "saving_interval_ms", "queue_is_known"];
const HEAD: &str = "\
// Replies of the agent, as far as the window reads them. Written by the tests of agent/src/control
// (UPDATE_DOCS=1); do not edit.
";

#[test]
fn window_types_match_the_protocol() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/protocol.d.ts");
    let expected = declarations();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &expected).unwrap();
    }
    let actual = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    assert!(actual == expected, "ui/protocol.d.ts is not current; run the tests with UPDATE_DOCS=1");
}

fn declarations() -> String {
    let kinds: Vec<String> = LogKind::ALL.iter().map(|kind| format!("\"{}\"", kind.name())).collect();
    let mut out = format!("{HEAD}\nexport type LogKind = {};\n", kinds.join(" | "));
    for (name, samples) in samples() {
        let of = type_of(&samples.iter().collect::<Vec<_>>(), "", 0);
        out.extend(["\nexport type ", name, " = ", &of, ";\n"]);
    }
    out
}

/// Returns the TypeScript type that covers all samples of a value.
fn type_of(samples: &[&Value], field: &str, depth: usize) -> String {
    let mut types: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !types.contains(&name) {
            types.push(name);
        }
    };
    let objects: Vec<_> = samples.iter().filter_map(|sample| sample.as_object()).collect();
    if !objects.is_empty() {
        let mut fields: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (name, value) in objects.iter().flat_map(|object| object.iter()) {
            fields.entry(name).or_default().push(value);
        }
        if MAPS.contains(&field) {
            fields = BTreeMap::from([("[name: string]", fields.into_values().flatten().collect())]);
        }
        let indent = "  ".repeat(depth + 1);
        let line = |(name, values): (&str, Vec<&Value>)| {
            let is_optional = !MAPS.contains(&field) && values.len() < objects.len();
            let optional = if is_optional { "?" } else { "" };
            format!("{indent}{name}{optional}: {};\n", type_of(&values, name, depth + 1))
        };
        add(format!("{{\n{}{}}}", fields.into_iter().map(line).collect::<String>(), "  ".repeat(depth)));
    }
    let items: Vec<&Value> = samples.iter().filter_map(|sample| sample.as_array()).flatten().collect();
    if samples.iter().any(|sample| sample.is_array()) {
        add(format!("{}[]", type_of(&items, "", depth)));
    }
    for sample in samples {
        match sample {
            Value::Bool(_) => add("boolean".to_owned()),
            Value::Number(_) => add("number".to_owned()),
            Value::String(_) => add("string".to_owned()),
            _ => {}
        }
    }
    if samples.iter().any(|sample| sample.is_null()) {
        add("null".to_owned());
    }
    if types.is_empty() { "unknown".to_owned() } else { types.join(" | ") }
}

/// Returns samples of each type. Every optional value is present in one of them and missing in
/// another.
fn samples() -> Vec<(&'static str, Vec<Value>)> {
    let probe = |clock_skew_seconds| {
        let signal = Signal::Metrics;
        json!(Probe { signal, ok: true, sentence: String::new(), milliseconds: 1, clock_skew_seconds })
    };
    let none = Minute { unix_ms: 0, cpu: None, memory: None, connect_cpu: None, connect_memory: None };
    let some =
        Minute { unix_ms: 0, cpu: Some(0.5), memory: Some(0.5), connect_cpu: Some(0.5), connect_memory: Some(1) };
    let hour = |memory_total| json!(LastHour { minutes: vec![none, some], memory_total });
    let mut day = Day::default();
    day.states.insert(SessionState::Active, 1.5);
    day.apps.insert("app".to_owned(), AppUsage { focus_seconds: 1.5, switches: 1, starts: 1 });
    let batch = SentBatch {
        acknowledged_unix_ms: 0,
        items: 1,
        bytes: 1,
        resource: vec![(String::new(), String::new())],
        lines: vec![String::new()],
        left_out: 0,
    };
    let setting = SettingLine { key: String::new(), value: String::new(), origin: String::new(), is_fixed: true };
    vec![
        ("Status", statuses()),
        ("Hour", vec![hour(None), hour(Some(1))]),
        ("Day", vec![json!(day)]),
        ("SentBatch", vec![json!(batch)]),
        ("Probe", vec![probe(None), probe(Some(1))]),
        ("SettingLine", vec![json!(setting)]),
    ]
}

fn statuses() -> Vec<Value> {
    let mut full = snapshot();
    let problem = |again_unix_ms| Some(Problem { at_unix_ms: 0, sentence: String::new(), again_unix_ms });
    let delivery = |again| Delivery { acknowledged_unix_ms: Some(0), problem: problem(again), ..Delivery::default() };
    (full.collector.metrics, full.queue.metrics.oldest_unix_ms) = (delivery(Some(0)), Some(0));
    (full.collector.traces, full.queue.traces.oldest_unix_ms) = (delivery(Some(0)), Some(0));
    (full.collector.logs, full.queue.logs.oldest_unix_ms) = (delivery(Some(0)), Some(0));
    full.queue.counters.insert(String::new(), 1);
    full.paused_until_unix_ms = Some(0);
    full.logs.shared = vec![LogKind::Platform];
    let decision =
        Decision { shared: true, at: jiff::Timestamp::UNIX_EPOCH, version: 1, by: Decider::User, announced: true };
    full.consent = Consent { platform: Some(decision.clone()), applications: Some(decision), asked: true };
    full.policy.share_platform_logs = Some(true);
    full.policy.share_application_logs = Some(true);
    full.policy.autostart = Some(true);
    let mut waiting = full.clone();
    for delivery in [&mut waiting.collector.metrics, &mut waiting.collector.traces, &mut waiting.collector.logs] {
        delivery.problem = problem(None);
    }
    let mut samples = [snapshot(), full, waiting].map(|status| json!(status));
    for sample in samples.iter_mut().filter_map(Value::as_object_mut) {
        sample.retain(|name, _| !UNUSED.contains(&name.as_str()));
    }
    samples.to_vec()
}
