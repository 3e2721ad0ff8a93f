//! Scenario: io.Connect's own io.Insights settings are used as a layer.

use super::*;

const SYSTEM: &str = r##"{
  // io.Connect's file has comments
  "region": "EMEA",
  "otel": { "enabled": true, "metrics": { "enabled": true, "url": "http://old.example.com/v1/metrics" } },
  "insights": {
    "enabled": true,
    "headers": { "authorization": "Bearer %OTLP_TOKEN%", "x-tenant": "%TENANT?desks%" },
    "additionalResourceAttributes": { "department": "%DEPT?unknown%", "floor": 7, "nested": {} },
    "metrics": { "enabled": true, "url": "https://otel.example.com/v1/metrics", "headers": { "x-index": "m" } },
    "traces": { "enabled": true, "url": "https://traces.example.com/my-traces-collector" },
    "logs": {
      "enabled": false,
      "url": "https://logs.example.com/v1/logs",
      "filters": [
        { "categoryName": "heartbeat", "enabled": false },
        { "bodyRegex": "^ping", "enabled": false },
        { "categoryName": "#^net", "enabled": false },
        { "severity": "DEBUG", "categoryName": "noise", "enabled": false },
        { "hideRegex": "ACC-[0-9]+" },
        { "hideRegex": "(?=behind)" }
      ]
    }
  }
}"##;

fn with_system(folder: &Path, own: &str, system: &str) -> Inputs {
    let path = folder.join("system.json");
    std::fs::write(&path, system).unwrap();
    Inputs { system_json: Some(path), ..inputs(folder, own) }
}

const ON: &str = r#""connect": { "use_insights_settings": true }"#;

/// Scenario: `connect.use_insights_settings` is on, and the agent has some settings of its own.
/// Guarantees: addresses, headers, attributes, redaction patterns and filters of io.Insights are
/// used, with variables expanded; the agent's own settings take precedence, and the lists of
/// patterns and filters are joined.
///
/// Settings: `connect.use_insights_settings`, `connect.system_json`.
#[test]
fn insights_settings_are_used_below_own_settings() {
    let folder = tempfile::tempdir().unwrap();
    let own = format!(
        r#"{{ {ON}, "collector": {{ "headers": {{ "x-tenant": "own" }} }},
              "logs": {{ "filters": [{{ "below": "info" }}], "redaction": {{ "patterns": [{{ "name": "own", "pattern": "OWN" }}] }} }} }}"#
    );
    let mut inputs = with_system(folder.path(), &own, SYSTEM);
    inputs.environment.push(("OTLP_TOKEN".to_owned(), "s3cret".to_owned()));
    let loaded = load(&inputs).unwrap();
    let of = &loaded.settings;
    let collector = &of.collector;
    assert_eq!(collector.endpoint.to_string(), "https://otel.example.com");
    assert_eq!(collector.protocol, Protocol::HttpJson);
    let address = |of: &DestinationSettings| of.endpoint.as_ref().map(ToString::to_string);
    assert_eq!(address(&collector.metrics).unwrap(), "https://otel.example.com/v1/metrics");
    assert_eq!(address(&collector.traces).unwrap(), "https://traces.example.com/my-traces-collector");
    assert_eq!(address(&collector.logs), None, "the logs of io.Insights are turned off");
    assert_eq!(collector.headers["authorization"].reveal(), "Bearer s3cret");
    assert_eq!(collector.headers["x-tenant"].reveal(), "own");
    assert_eq!(collector.metrics.headers["x-index"].reveal(), "m");
    let attributes: Vec<(&str, String)> =
        of.resource.attributes.iter().map(|(key, value)| (key.as_str(), value.expand_env())).collect();
    assert_eq!(attributes, [("department", "unknown".to_owned()), ("floor", "7".to_owned())]);

    let categories: Vec<_> = of.logs.filters.iter().map(|filter| (filter.below, filter.category.as_deref())).collect();
    assert_eq!(categories, [(Some(Severity::Info), None), (None, Some("heartbeat")), (None, None)]);
    assert!(of.logs.filters[2].pattern.as_ref().unwrap().regex().is_match("ping 1"));
    let hidden: Vec<&str> = of.logs.redaction.patterns.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(hidden, ["own", "io-insights-5"]);

    let [problem] = loaded.problems.as_slice() else { panic!("{:?}", loaded.problems) };
    let text = problem.to_string();
    assert!(text.contains("insights.logs.filters[5].hideRegex") && text.contains("is not used"), "{text}");
    assert!(loaded.origin("collector.traces.endpoint").to_string().starts_with("io.Insights in "), "{}", loaded.show());
    assert!(!loaded.show().contains("s3cret"));
}

/// Scenario: the agent's own settings contain a collector address, for all signals or for one.
/// Guarantees: addresses and headers of io.Insights are not used; its other settings are.
#[test]
fn insights_addresses_are_ignored_beside_own_address() {
    let folder = tempfile::tempdir().unwrap();
    for own in [
        r#"{ "endpoint": "https://own.example.com:4317" }"#,
        r#"{ "logs": { "endpoint": "https://own.example.com:4317" } }"#,
    ] {
        let loaded = load(&with_system(folder.path(), &format!("{{ {ON}, \"collector\": {own} }}"), SYSTEM)).unwrap();
        let expected: CollectorSettings = serde_json::from_str(own).unwrap();
        assert_eq!(loaded.settings.collector, expected);
        assert!(loaded.settings.resource.attributes.contains_key("department"));
        assert_eq!(loaded.settings.logs.redaction.patterns.len(), 1);
    }
}

/// Scenario: the setting is off, or io.Connect's file is missing, broken, without the section,
/// turned off, or contains an invalid or the agent's own address.
/// Guarantees: nothing of it is used, and except for the setting being off the reason is reported.
#[test]
fn insights_settings_unusable_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let unwanted = load(&with_system(folder.path(), "{}", SYSTEM)).unwrap();
    assert_eq!((unwanted.settings, unwanted.problems.len()), (Settings::default(), 0));
    let own = format!("{{ {ON} }}");
    for (system, expected) in [
        ("{ \"insights\": ", "not valid JSON"),
        ("{}", "neither a section `insights` nor `otel`"),
        ("{ \"otel\": { \"enabled\": false } }", "`enabled` is not `true`"),
        ("{ \"otel\": { \"enabled\": true, \"traces\": { \"url\": \"nowhere\" } } }", "otel.traces.url"),
        ("{ \"otel\": { \"enabled\": true, \"traces\": { \"url\": \"http://localhost:4318/v1/traces\" } } }", "itself"),
    ] {
        let loaded = load(&with_system(folder.path(), &own, system)).unwrap();
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert!(problems.len() == 1 && problems[0].contains(expected), "{system}: {problems:?}");
        assert_eq!(loaded.settings.collector, CollectorSettings::default(), "{system}");
    }
    let mut inputs = with_system(folder.path(), &own, SYSTEM);
    inputs.flags.push("connect.system_json=/nowhere/system.json".to_owned());
    let missing = load(&inputs).unwrap().problems[0].to_string();
    assert!(missing.contains("the file does not exist") && missing.contains("/nowhere/system.json"), "{missing}");
}
