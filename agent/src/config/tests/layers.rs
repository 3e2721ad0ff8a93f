use super::*;

/// Every layer beats every lower one, each pair on its own, and the origin names the winner.
#[test]
fn each_layer_overrides_the_lower_ones() {
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

/// Headers and attributes merge key by key; a list replaces the list below it.
#[test]
fn maps_merge_and_lists_replace() {
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

/// OTLP over HTTP has another default port; an address that somebody gave stays.
#[test]
fn default_endpoint_follows_the_protocol() {
    let endpoint = |flags: &[&str]| without_file(&[], flags).unwrap().settings.collector.endpoint.to_string();
    assert_eq!(endpoint(&[]), "http://localhost:4317");
    assert_eq!(endpoint(&["collector.protocol=http/protobuf"]), "http://localhost:4318");
    let given = "collector.endpoint=http://localhost:4317";
    assert_eq!(endpoint(&["collector.protocol=http/protobuf", given]), "http://localhost:4317");
}

/// A flag is JSON where that fits and text where not; a wrong one is named, without its value.
#[test]
fn flags() {
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
    insta::assert_snapshot!(error("host.enable=true"), @"
    there is no setting `enable`
     --> --set host.enable
      = key: host.enable
      = help: did you mean `enabled`? allowed here: enabled, export_interval, sample_interval, cpu_threshold, memory_threshold, one_per_machine
    ");
    insta::assert_snapshot!(error("collector.headers=hunter2"), @"
    expected an object `{ ... }`, found text
     --> --set collector.headers
      = key: collector.headers
    ");
    insta::assert_snapshot!(error("collector.headers.key:hunter2"), @"
    a flag has the form `key=value`
     --> --set collector.headers.key
      = help: for example `--set collector.protocol=http/protobuf`
    ");
}

/// `config show` tells key, value and origin, and no secret; nor does its JSON.
#[test]
#[allow(clippy::too_many_lines, reason = "it shows every setting")]
fn show_masks_secrets() {
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
    insta::assert_snapshot!(shown, @r#"
    collector.endpoint                       https://collector.example.com:4317  file [folder]/config.json:3
    collector.protocol                       grpc                                default
    collector.headers.authorization          ********                            file [folder]/config.json:4
    collector.headers.x-key                  ********                            OTEL_EXPORTER_OTLP_HEADERS
    collector.headers_from                   {}                                  default
    collector.compression                    gzip                                default
    collector.timeout                        10s                                 default
    collector.certificate                    -                                   default
    collector.client_certificate             -                                   default
    collector.client_key                     -                                   default
    collector.client_certificate_thumbprint  -                                   default
    collector.min_tls_version                1.2                                 default
    collector.allow_plain_http               false                               default
    collector.proxy.address                  system                              default
    collector.proxy.user                     -                                   default
    collector.proxy.password                 -                                   default
    collector.proxy.password_from            -                                   default
    collector.saving_interval                5m                                  default
    collector.oauth2.token_url               -                                   default
    collector.oauth2.client_id               ""                                  default
    collector.oauth2.client_secret           -                                   default
    collector.oauth2.client_secret_from      -                                   default
    collector.oauth2.scopes                  []                                  default
    collector.oauth2.parameters              {}                                  default
    collector.metrics.endpoint               -                                   default
    collector.metrics.protocol               -                                   default
    collector.metrics.headers                {}                                  default
    collector.metrics.compression            -                                   default
    collector.metrics.timeout                -                                   default
    collector.metrics.certificate            -                                   default
    collector.metrics.client_certificate     -                                   default
    collector.metrics.client_key             -                                   default
    collector.traces.endpoint                -                                   default
    collector.traces.protocol                -                                   default
    collector.traces.headers                 {}                                  default
    collector.traces.compression             -                                   default
    collector.traces.timeout                 -                                   default
    collector.traces.certificate             -                                   default
    collector.traces.client_certificate      -                                   default
    collector.traces.client_key              -                                   default
    collector.logs.endpoint                  -                                   default
    collector.logs.protocol                  -                                   default
    collector.logs.headers                   {}                                  default
    collector.logs.compression               -                                   default
    collector.logs.timeout                   -                                   default
    collector.logs.certificate               -                                   default
    collector.logs.client_certificate        -                                   default
    collector.logs.client_key                -                                   default
    collector.fallback.endpoint              -                                   default
    collector.fallback.protocol              -                                   default
    collector.fallback.headers               {}                                  default
    collector.fallback.compression           -                                   default
    collector.fallback.timeout               -                                   default
    collector.fallback.certificate           -                                   default
    collector.fallback.client_certificate    -                                   default
    collector.fallback.client_key            -                                   default
    resource.user                            hash                                default
    resource.user_hash_key                   ********                            file [folder]/config.json:7
    resource.environment                     -                                   default
    resource.attributes.department           %DEPT?unknown%                      file [folder]/config.json:8
    resource.attributes.odd                  "\u{1b}[31m"                        file [folder]/config.json:8
    host.enabled                             true                                default
    host.export_interval                     1m                                  default
    host.sample_interval                     5s                                  default
    host.cpu_threshold                       0.9                                 default
    host.memory_threshold                    0.9                                 default
    host.one_per_machine                     true                                default
    processes.enabled                        true                                default
    processes.sample_interval                30s                                 default
    internal_metrics.enabled                 true                                default
    focus.enabled                            true                                default
    focus.idle_after                         3m                                  default
    focus.poll_interval                      5s                                  default
    focus.apps                               []                                  default
    focus.app_definitions                    []                                  default
    connect.user_data                        []                                  default
    connect.process_names                    ["io-connect-desktop"]              file [folder]/config.json:11
    connect.use_insights_settings            false                               default
    connect.system_json                      -                                   default
    logs.start_at                            end                                 default
    logs.flush_interval                      500ms                               default
    logs.poll_interval                       10s                                 default
    logs.watch                               true                                default
    logs.max_records_per_second              0                                   default
    logs.layouts                             []                                  default
    logs.filters                             []                                  default
    logs.redaction.credentials               true                                default
    logs.redaction.email                     true                                default
    logs.redaction.payment_cards             true                                default
    logs.redaction.ibans                     true                                default
    logs.redaction.phone_numbers             true                                default
    logs.redaction.user                      true                                default
    logs.redaction.ip_addresses              false                               default
    logs.redaction.patterns                  []                                  default
    receiver.enabled                         true                                default
    receiver.grpc_port                       4317                                default
    receiver.http_port                       4318                                default
    receiver.allowed_origins                 []                                  default
    receiver.token                           -                                   default
    receiver.redacted_attributes             []                                  default
    receiver.request_views.enabled           false                               default
    receiver.request_views.spans             ["*"]                               default
    receiver.sampling.ratio                  1.0                                 default
    receiver.sampling.keep_errors            true                                default
    receiver.sampling.keep_slower_than       -                                   default
    queue.max_bytes                          256 MiB                             default
    queue.min_free_disk                      1 GiB                               default
    queue.max_age                            14d                                 default
    program_log.level                        debug                               --set
    policy.share_platform_logs               -                                   default
    policy.share_application_logs            -                                   default
    policy.allow_pause                       true                                default
    policy.autostart                         -                                   default
    "#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&loaded.show_json()["collector"]).unwrap(), @r#"
    {
      "endpoint": "https://collector.example.com:4317",
      "protocol": "grpc",
      "headers": {
        "authorization": "********",
        "x-key": "********"
      },
      "headers_from": {},
      "compression": "gzip",
      "timeout": "10s",
      "certificate": null,
      "client_certificate": null,
      "client_key": null,
      "client_certificate_thumbprint": null,
      "min_tls_version": "1.2",
      "allow_plain_http": false,
      "proxy": {
        "address": "system",
        "user": null,
        "password": null,
        "password_from": null
      },
      "saving_interval": "5m",
      "oauth2": {
        "token_url": null,
        "client_id": "",
        "client_secret": null,
        "client_secret_from": null,
        "scopes": [],
        "parameters": {}
      },
      "metrics": {
        "endpoint": null,
        "protocol": null,
        "headers": {},
        "compression": null,
        "timeout": null,
        "certificate": null,
        "client_certificate": null,
        "client_key": null
      },
      "traces": {
        "endpoint": null,
        "protocol": null,
        "headers": {},
        "compression": null,
        "timeout": null,
        "certificate": null,
        "client_certificate": null,
        "client_key": null
      },
      "logs": {
        "endpoint": null,
        "protocol": null,
        "headers": {},
        "compression": null,
        "timeout": null,
        "certificate": null,
        "client_certificate": null,
        "client_key": null
      },
      "fallback": {
        "endpoint": null,
        "protocol": null,
        "headers": {},
        "compression": null,
        "timeout": null,
        "certificate": null,
        "client_certificate": null,
        "client_key": null
      }
    }
    "#);
    assert!(!loaded.show_json().to_string().contains("hunter2"));
}
