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

/// What the installer wrote gives way to the user's file; a policy gives way to nothing, and that of the machine wins over
/// that of the user.
#[test]
fn policies_have_the_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), r#"{ "collector": { "timeout": "1s" } }"#);
    let timeout = |seconds: &str| [("collector.timeout", text(seconds))];
    let of = |inputs: &Inputs| {
        let loaded = load(inputs).unwrap();
        let line = loaded.lines().into_iter().find(|line| line.key == "collector.timeout").unwrap();
        (line.value, line.origin.replace(&folder.path().display().to_string(), "[folder]"), line.is_fixed)
    };
    inputs.registry.push(key(r"HKLM\SOFTWARE\InsightsAgent\Settings", false, &timeout("7s")));
    assert_eq!(of(&inputs).0, "1s", "the file is the user's own word");
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

/// Switches, numbers, texts, maps and lists in each form that the registry and Group Policy have for them.
#[test]
fn every_form_of_a_value_is_read() {
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

/// A wrong value is said, without a secret, and ignored; the others hold.
#[test]
fn a_wrong_value_is_reported_and_ignored() {
    let loaded = of_policy(&[
        ("collector.protocol", text("carrier pigeon")),
        ("collector.hedders", text("hunter2")),
        ("collector.headers", text("hunter2")),
        ("host.sample_interval", RegistryData::Other),
        ("program_log.level", text("debug")),
    ]);
    assert_eq!(loaded.settings.program_log.level, LogLevel::Debug);
    assert_eq!(loaded.settings.collector, CollectorSettings::default());
    let said = loaded.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said, @r#"
    there is no choice `carrier pigeon`
     --> HKLM\SOFTWARE\Policies\InsightsAgent\collector.protocol
      = key: collector.protocol
      = help: allowed here: grpc, http/protobuf, http/json
      = so: the value is ignored
    there is no setting `hedders`
     --> HKLM\SOFTWARE\Policies\InsightsAgent\collector.hedders
      = key: collector.hedders
      = help: did you mean `headers`? allowed here: endpoint, protocol, headers, headers_from, compression, timeout, certificate, client_certificate, client_key, client_certificate_thumbprint, min_tls_version, allow_plain_http, proxy, saving_interval, oauth2, metrics, traces, logs, fallback
      = so: the value is ignored
    expected an object `{ ... }`, found text
     --> HKLM\SOFTWARE\Policies\InsightsAgent\collector.headers
      = key: collector.headers
      = so: the value is ignored
    expected a duration in quotes, as in "10s", found `null`
     --> HKLM\SOFTWARE\Policies\InsightsAgent\host.sample_interval
      = key: host.sample_interval
      = so: the value is ignored
    "#);
}

/// A policy of HTTP without an address goes to HTTP's default port, as anywhere else.
#[test]
fn the_default_address_follows_a_policy_too() {
    let loaded = of_policy(&[("collector.protocol", text("http/protobuf"))]);
    assert_eq!(loaded.settings.collector.endpoint.to_string(), "http://localhost:4318");
}
