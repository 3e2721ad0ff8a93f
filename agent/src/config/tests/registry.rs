//! Scenario: settings and policies are read from the Windows registry.

use super::*;

const HKLM: &str = r"HKLM\SOFTWARE\Policies\InsightsAgent";

fn key(path: &str, is_policy: bool, values: &[(&str, RegistryData)]) -> RegistryKey {
    let values = values.iter().map(|(name, data)| ((*name).to_owned(), data.clone())).collect();
    RegistryKey { path: path.to_owned(), is_policy, values }
}

fn text(text: &str) -> RegistryData {
    RegistryData::Text(text.to_owned())
}

fn of_policy(values: &[(&str, RegistryData)]) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), "{}");
    inputs.registry.push(key(HKLM, true, values));
    load(&inputs).unwrap()
}

/// Scenario: the same setting is set by the installer, the file, a flag, and policies of user and
/// machine.
/// Guarantees: the user's file overrides the installer; policies override everything, and the
/// machine's policy overrides the user's.
#[test]
fn registry_policy_takes_precedence() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), r#"{ "collector": { "timeout": "1s" } }"#);
    let timeout = |seconds: &str| [("collector.timeout", text(seconds))];
    let of = |inputs: &Inputs| {
        let loaded = load(inputs).unwrap();
        let line = loaded.lines().into_iter().find(|line| line.key == "collector.timeout").unwrap();
        (line.value, line.origin.replace(&folder.path().display().to_string(), "[folder]"), line.is_fixed)
    };
    inputs.registry.push(key(r"HKLM\SOFTWARE\InsightsAgent\Settings", false, &timeout("7s")));
    assert_eq!(of(&inputs).0, "1s", "the file overrides the installer");
    inputs.flags.push("collector.timeout=2s".into());
    inputs.registry.push(key(r"HKCU\SOFTWARE\Policies\InsightsAgent", true, &timeout("8s")));
    assert_eq!(of(&inputs).0, "8s");
    inputs.registry.push(key(HKLM, true, &timeout("9s")));
    let by = format!("set by your organisation ({HKLM})");
    assert_eq!(of(&inputs), ("9s".to_owned(), by, true));

    inputs.registry.truncate(1);
    inputs.flags.clear();
    std::fs::write(inputs.file.path(), "{}").unwrap();
    let machine = r"registry HKLM\SOFTWARE\InsightsAgent\Settings".to_owned();
    assert_eq!(of(&inputs), ("7s".to_owned(), machine, false));
}

/// Scenario: booleans, numbers, texts, maps and lists in every form that the registry and Group
/// Policy use.
/// Guarantees: all of them are read.
#[test]
fn registry_every_form_of_a_value_is_read() {
    let settings = of_policy(&[
        ("host.enabled", RegistryData::Number(0)),
        ("processes.enabled", text("false")),
        ("logs.max_records_per_second", RegistryData::Number(1)),
        ("host.cpu_threshold", text("0.5")),
        ("queue.max_bytes", RegistryData::Number(1 << 21)),
        ("collector.headers", text("authorization=Bearer%20a,b=c")),
        (r"collector.headers\b", text("d")),
        (r"resource.attributes\desk.floor", RegistryData::Number(7)),
        (r"connect.process_names\10", text("third")),
        (r"connect.process_names\2", text("second")),
        (r"connect.process_names\1", text("first")),
        ("logs.filters", text("[\n{ \"files\": \"*.log\" }\n]")),
        (r"logs.redaction.patterns\1", text(r#"{ "name": "desk", "pattern": "D[0-9]+" }"#)),
    ]);
    assert_eq!(settings.problems, []);
    let settings = settings.settings;
    assert!(!settings.host.enabled && !settings.processes.enabled);
    assert_eq!((settings.logs.max_records_per_second, settings.queue.max_bytes), (1, ByteSize::from_mib(2)));
    assert!((settings.host.cpu_threshold.get() - 0.5).abs() < f64::EPSILON);
    let headers = settings.collector.headers.iter().map(|(name, value)| (name.as_str(), value.reveal()));
    assert_eq!(headers.collect::<Vec<_>>(), [("authorization", "Bearer a"), ("b", "d")]);
    assert_eq!(settings.resource.attributes["desk.floor"], Template::from("7"));
    assert_eq!(settings.connect.process_names, ["first", "second", "third"]);
    assert_eq!((settings.logs.filters.len(), settings.logs.redaction.patterns.len()), (1, 1));
}

/// Scenario: some registry values are invalid.
/// Guarantees: each is reported without secrets and ignored; the valid ones are used.
#[test]
fn registry_invalid_value_is_reported_and_ignored() {
    let loaded = of_policy(&[
        ("collector.protocol", text("carrier pigeon")),
        ("collector.hedders", text("hunter2")),
        ("collector.headers", text("hunter2")),
        ("host.sample_interval", RegistryData::Other),
        ("program_log.level", text("debug")),
    ]);
    assert_eq!(loaded.settings.program_log.level, LogLevel::Debug);
    assert_eq!(loaded.settings.collector, CollectorSettings::default());
    let text = loaded.problems.iter().map(without_allowed).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text, @r#"
    unknown value `carrier pigeon`
     --> HKLM\SOFTWARE\Policies\InsightsAgent\collector.protocol
      = key: collector.protocol
      = help: allowed are: [...]
      = note: the value is ignored
    unknown setting `hedders`
     --> HKLM\SOFTWARE\Policies\InsightsAgent\collector.hedders
      = key: collector.hedders
      = help: did you mean `headers`? allowed are: [...]
      = note: the value is ignored
    expected an object `{ ... }`, found text
     --> HKLM\SOFTWARE\Policies\InsightsAgent\collector.headers
      = key: collector.headers
      = note: the value is ignored
    expected a duration in quotes, for example "10s", found `null`
     --> HKLM\SOFTWARE\Policies\InsightsAgent\host.sample_interval
      = key: host.sample_interval
      = note: the value is ignored
    "#);
}

/// Scenario: a policy sets an OTLP/HTTP protocol and no address.
/// Guarantees: the default address is the one of OTLP/HTTP.
#[test]
fn default_endpoint_follows_a_policy() {
    let loaded = of_policy(&[("collector.protocol", text("http/protobuf"))]);
    assert_eq!(loaded.settings.collector.endpoint.to_string(), "http://localhost:4318");
}
