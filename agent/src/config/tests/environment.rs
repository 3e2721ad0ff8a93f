//! Scenario: environment variables of OpenTelemetry set settings.

use super::*;
use crate::otlp::Compression;

/// Scenario: all variables are set.
/// Guarantees: each one sets its setting.
#[test]
fn environment_every_variable_sets_its_setting() {
    let loaded = without_file(
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.com"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20a%3Db, x-scope = desk "),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ignored,desk=FX%2CRates,deployment.environment.name=uat"),
            ("OTEL_SERVICE_NAME", "agent"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
            ("OTEL_SOMETHING_ELSE", "x"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(loaded.problems, []);
    let Settings { collector, resource, host, .. } = &loaded.settings;
    assert_eq!(collector.endpoint.to_string(), "https://collector.example.com");
    assert_eq!(collector.protocol, Protocol::HttpProtobuf);
    let headers: Vec<_> = collector.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    assert_eq!(headers, [("Authorization", "Bearer a=b"), ("x-scope", "desk")]);
    assert_eq!(collector.compression, Compression::Zstd);
    assert_eq!(collector.timeout, Period::from_millis(2500));
    assert_eq!(collector.certificate, Some("/etc/ca.pem".into()));
    assert_eq!(resource.environment, Some(Template::from("uat")));
    let attributes: Vec<_> = resource.attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    assert_eq!(attributes, [("desk", Template::from("FX,Rates")), ("service.name", Template::from("agent"))]);
    assert_eq!(host.export_interval, Period::from_secs(15));
}

/// Scenario: all variables are empty.
/// Guarantees: they count as unset.
#[test]
fn environment_empty_variable_counts_as_unset() {
    let set: Vec<(&str, &str)> =
        super::super::environment::VARIABLES.into_iter().flatten().map(|variable| (variable.name, " ")).collect();
    let loaded = without_file(&set, &[]).unwrap();
    assert_eq!((loaded.settings, loaded.problems), (Settings::default(), Vec::new()));
}

/// Scenario: one variable is invalid.
/// Guarantees: it is reported and ignored; lower layers and other variables are used.
#[test]
fn environment_invalid_variable_is_reported_and_ignored() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,authorization=%zz"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%FF"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0D%0Ac"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
    ] {
        let text = "{ \"collector\": { \"headers\": { \"a\": \"file\" }, \"timeout\": \"7s\", \"protocol\": \"http/protobuf\" } }";
        let mut inputs = inputs(folder.path(), text);
        let expected = load(&inputs).unwrap().settings;
        inputs.environment = vec![(name.into(), value.into()), ("OTEL_SERVICE_NAME".into(), String::new())];
        let loaded = load(&inputs).unwrap();
        assert_eq!(loaded.settings, expected, "{name}={value}");
        assert_eq!(loaded.problems.len(), 1, "{name}={value}");
        assert_eq!(loaded.problems[0].error.place, Place::Variable(name.into()));
    }
}

/// Scenario: invalid variables are reported.
/// Guarantees: the report names variable, key and format, and repeats no value that may be secret.
#[test]
fn environment_problem_names_variable_and_hides_value() {
    let problem = |name: &str, value: &str| without_file(&[(name, value)], &[]).unwrap().problems[0].to_string();
    insta::assert_snapshot!(problem("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hunter2"), @"
    entry 2 of the list has no `=`
     --> environment variable OTEL_EXPORTER_OTLP_HEADERS
      = key: collector.headers
      = help: expected format: `name=value,name=value`, values percent-encoded
      = note: the variable is ignored
    ");
    insta::assert_snapshot!(problem("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), @r#"
    "10s" is not a whole number of milliseconds
     --> environment variable OTEL_EXPORTER_OTLP_TIMEOUT
      = key: collector.timeout
      = help: expected format: milliseconds; `0` means one year
      = note: the variable is ignored
    "#);
    insta::assert_snapshot!(problem("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"), @"
    unknown value `brotli`
     --> environment variable OTEL_EXPORTER_OTLP_COMPRESSION
      = key: collector.compression
      = help: allowed are: none, gzip, zstd
      = note: the variable is ignored
    ");
}

/// Scenario: the timeout variable is 0.
/// Guarantees: there is practically no timeout: it is 365 days.
#[test]
fn environment_timeout_of_zero_means_365_days() {
    let loaded = without_file(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")], &[]).unwrap();
    assert_eq!(loaded.settings.collector.timeout, Period::from_secs(365 * 24 * 3600));
}

/// Scenario: variables for all signals and for single signals are set.
/// Guarantees: the variables of a signal override those for all signals, for that signal only.
#[test]
fn environment_variables_of_a_signal_override_common_ones() {
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://all.example.com"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=all,b=all"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs.example.com/otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "b=logs"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "3000"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/etc/metrics.pem"),
    ];
    let collector = without_file(&set, &[]).unwrap().settings.collector;
    let logs = collector.with_overrides(&collector.logs);
    assert_eq!(logs.endpoint.to_string(), "https://logs.example.com/otlp");
    assert_eq!((logs.protocol, logs.timeout), (Protocol::HttpJson, Period::from_secs(3)));
    let headers: Vec<_> = logs.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    assert_eq!(headers, [("a", "all"), ("b", "logs")]);
    let traces = collector.with_overrides(&collector.traces);
    assert_eq!(
        (traces.endpoint.to_string().as_str(), traces.compression),
        ("https://all.example.com", Compression::None)
    );
    assert_eq!(collector.with_overrides(&collector.metrics).certificate, Some("/etc/metrics.pem".into()));
    assert_eq!(collector.with_overrides(&collector.fallback), collector);
}
