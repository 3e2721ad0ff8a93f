//! io.Connect's own settings of io.Insights as a layer.

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

/// Guarantees: addresses, headers, attributes and what is hidden come from io.Insights where the company wants that, with variables
/// put in; the agent's own settings win, and lists of what is hidden or left out are added up.
#[test]
fn io_insights_settings_are_a_layer() {
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
    assert_eq!(address(&collector.logs), None, "io.Insights has its logs off");
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

/// Guarantees: where the agent is told an address of its own, for all signals or for one, it goes there as it is told, and what io.Insights
/// says to its own collector is not said there; the rest counts.
#[test]
fn an_address_of_its_own_is_not_mixed_with_others() {
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

/// Guarantees: without the setting nothing of io.Connect's file counts; a file that is missing, broken, without the section or with
/// io.Insights off is told, and nothing of it counts.
#[test]
fn what_cannot_be_taken_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let unwanted = load(&with_system(folder.path(), "{}", SYSTEM)).unwrap();
    assert_eq!((unwanted.settings, unwanted.problems.len()), (Settings::default(), 0));
    let own = format!("{{ {ON} }}");
    for (system, expected) in [
        ("{ \"insights\": ", "not valid JSON"),
        ("{}", "neither `insights` nor `otel`"),
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
    assert!(missing.contains("there is no such file") && missing.contains("/nowhere/system.json"), "{missing}");
}
