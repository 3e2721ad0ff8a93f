//! Scenario: several layers set the same settings.

use super::*;

/// Scenario: every combination of file, environment variable and flag sets the same setting.
/// Guarantees: the highest layer takes precedence, and the origin names it.
#[test]
fn layers_higher_one_takes_precedence() {
    let folder = tempfile::tempdir().unwrap();
    for layers in 0..8_u8 {
        let [file, environment, flag] = [1, 2, 4].map(|layer| layers & layer != 0);
        let mut inputs = inputs(folder.path(), if file { "{\"collector\": {\"timeout\": \"1s\"}}" } else { "{}" });
        if environment {
            inputs.environment.push(("OTEL_EXPORTER_OTLP_TIMEOUT".into(), "2000".into()));
        }
        if flag {
            inputs.flags.push("collector.timeout=3s".into());
        }
        let (seconds, origin) = match (flag, environment, file) {
            (true, _, _) => (3, Origin::Flag),
            (_, true, _) => (2, Origin::Environment { variable: "OTEL_EXPORTER_OTLP_TIMEOUT".into() }),
            (_, _, true) => (1, Origin::File { path: inputs.file.path().to_owned(), line: 1 }),
            _ => (10, Origin::Default),
        };
        let loaded = load(&inputs).unwrap();
        assert_eq!(loaded.settings.collector.timeout, Period::from_secs(seconds), "{layers:03b}");
        assert_eq!(loaded.origin("collector.timeout"), &origin, "{layers:03b}");
    }
}

/// Scenario: two or three layers set the same maps and lists.
/// Guarantees: maps are merged key by key; a list replaces the list of the layer below.
#[test]
fn layers_merge_maps_and_replace_lists() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(
        folder.path(),
        r#"{ "collector": { "headers": { "a": "file", "b": "file" } }, "connect": { "process_names": ["file"] } }"#,
    );
    inputs.environment.push(("OTEL_EXPORTER_OTLP_HEADERS".into(), "b=variable,c=variable".into()));
    inputs.flags.extend(["collector.headers.c=flag".into(), "resource.attributes.desk.floor=7".into()]);
    let settings = load(&inputs).unwrap().settings;
    let headers: Vec<_> =
        settings.collector.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    assert_eq!(headers, [("a", "file"), ("b", "variable"), ("c", "flag")]);
    assert_eq!(settings.connect.process_names, ["file"]);
    assert_eq!(settings.resource.attributes["desk.floor"], Template::from("7"));
}

/// Scenario: the protocol is set with and without an address.
/// Guarantees: OTLP/HTTP has its own default port; a configured address is not changed.
#[test]
fn default_endpoint_follows_the_protocol() {
    let endpoint = |flags: &[&str]| without_file(&[], flags).unwrap().settings.collector.endpoint.to_string();
    assert_eq!(endpoint(&[]), "http://localhost:4317");
    assert_eq!(endpoint(&["collector.protocol=http/protobuf"]), "http://localhost:4318");
    let given = "collector.endpoint=http://localhost:4317";
    assert_eq!(endpoint(&["collector.protocol=http/protobuf", given]), "http://localhost:4317");
}

/// Scenario: flags with JSON, with text, and invalid ones.
/// Guarantees: a value is read as JSON if that is valid for the setting, otherwise as text; an
/// error names the flag and does not repeat its value.
#[test]
fn flags_are_json_or_text_and_errors_hide_values() {
    let loaded = without_file(
        &[],
        &[
            "host.enabled=false",
            "resource.user_hash_key=123",
            "connect.process_names=[\"a\"]",
            "host.cpu_threshold=0.5",
        ],
    )
    .unwrap();
    assert!(!loaded.settings.host.enabled);
    assert_eq!(loaded.settings.resource.user_hash_key.unwrap().reveal(), "123");
    assert_eq!(loaded.settings.connect.process_names, ["a"]);

    let error = |flag: &str| without_file(&[], &[flag]).unwrap_err();
    insta::assert_snapshot!(error("host.enabled=maybe"), @"
    expected `true` or `false`, found text
     --> --set host.enabled
      = key: host.enabled
    ");
    insta::assert_snapshot!(without_allowed(&error("host.enable=true")), @"
    unknown setting `enable`
     --> --set host.enable
      = key: host.enable
      = help: did you mean `enabled`? allowed are: [...]
    ");
    insta::assert_snapshot!(error("collector.headers=hunter2"), @"
    expected an object `{ ... }`, found text
     --> --set collector.headers
      = key: collector.headers
    ");
    insta::assert_snapshot!(error("collector.headers.key:hunter2"), @"
    the flag is not of the form `key=value`
     --> --set collector.headers.key
      = help: write for example `--set collector.protocol=http/protobuf`
    ");
}

/// Scenario: settings with secrets from a file and a variable are shown as a table and as JSON.
/// Guarantees: the table shows key, value and origin of every setting; neither form shows a secret.
#[test]
fn shown_settings_have_origins_and_masked_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{
  "collector": {
    "endpoint": "https://collector.example.com:4317",
    "headers": { "authorization": "Bearer hunter2" }
  },
  "resource": {
    "user_hash_key": "hunter2",
    "attributes": { "department": "%DEPT?unknown%", "odd": "\u001b[31m" }
  },
  "connect": {
    "process_names": [
      "io-connect-desktop"
    ]
  }
}"#;
    let mut inputs = inputs(folder.path(), text);
    inputs.environment.push(("OTEL_EXPORTER_OTLP_HEADERS".into(), "x-key=hunter2".into()));
    inputs.flags.push("program_log.level=debug".into());
    let loaded = load(&inputs).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let shown = loaded.show().replace(&folder.path().join("config.json").display().to_string(), "[folder]/config.json");
    assert_eq!(shown.lines().count(), loaded.lines().len());
    let keys = [
        "collector.endpoint ",
        "collector.headers.",
        "collector.certificate ",
        "resource.user_hash_key ",
        "resource.attributes.",
        "program_log.level ",
    ];
    let some = shown.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
    // The width of a column depends on all settings.
    let columns =
        |line: &str| line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    insta::assert_snapshot!(some.map(columns).collect::<Vec<_>>().join("\n"), @r#"
    collector.endpoint  https://collector.example.com:4317  file [folder]/config.json:3
    collector.headers.authorization  ********  file [folder]/config.json:4
    collector.headers.x-key  ********  OTEL_EXPORTER_OTLP_HEADERS
    collector.certificate  -  default
    resource.user_hash_key  ********  file [folder]/config.json:7
    resource.attributes.department  %DEPT?unknown%  file [folder]/config.json:8
    resource.attributes.odd  "\u{1b}[31m"  file [folder]/config.json:8
    program_log.level  debug  --set
    "#);
    let json = loaded.show_json();
    let headers = serde_json::json!({ "authorization": "********", "x-key": "********" });
    assert_eq!((&json["collector"]["headers"], &json["collector"]["timeout"]), (&headers, &"10s".into()));
    assert_eq!(json["resource"]["user_hash_key"], "********");
    assert_eq!(json["collector"]["certificate"], serde_json::Value::Null);
    assert!(!loaded.show_json().to_string().contains("hunter2"));
}
