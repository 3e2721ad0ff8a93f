//! Scenario: io.Connect, apps and scripts send their own telemetry through the built agent to the
//! real Collector.

#![cfg(unix)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};
use test_support::isolation::isolate;
use test_support::peers::Backend;
use test_support::test_env::{TestEnv, text};
use test_support::{output, peer, wait_for};

/// Returns the address of the agent's receiver.
fn receiver(status: &Value) -> String {
    status["receiver"]["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
}

/// Posts JSON; returns the response.
fn post(address: &str, path: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn capture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/captures/node-plain/{name}.body", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Guarantees: requests of the real io.Insights client reach the Collector under their own names,
/// with the attributes of the machine added. Log records of an app arrive only while the user
/// shares them.
#[test]
fn io_insights_requests_reach_collector() {
    let Some(backend) = Backend::start() else { return };
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    env.set("resource.attributes.department=trading");
    let agent = env.start();
    let address = receiver(&env.status());
    for (name, path) in [("01-POST_v1_traces", "/v1/traces"), ("02-POST_v1_metrics", "/my-metrics-collector")] {
        let answer = post(&address, path, &capture(name));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{}"), "{answer}");
    }
    let record = |body: &str| {
        let records = json!([{ "body": { "stringValue": body }, "timeUnixNano": "1795422158727000000" }]);
        let request = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
        post(&address, "/v1/logs", request.to_string().as_bytes())
    };
    let answer = record("before consent");
    assert!(answer.contains("rejectedLogRecords"), "{answer}");
    let _ = env.ok(&["logs", "share", "on", "--only", "applications"]);
    let answer = record("after consent, password=hunter2");
    assert!(answer.ends_with("{}"), "{answer}");

    let written = wait_for("all signals", || {
        let written = backend.written();
        let all = ["after consent", "interopio.api.interop.invoke", "insights_trace_count"];
        all.iter().all(|part| written.contains(part)).then_some(written)
    });
    assert!(!written.contains("before consent") && !written.contains("hunter2"));
    for name in ["interopio.api.interop.invoke", "insights_trace_count"] {
        let mine = written.split("Resource SchemaURL").find(|part| part.contains(name)).unwrap();
        for attribute in ["machine: Str(PW052B0C)", "host.name: Str(", "department: Str(trading)", "session.id: Str("] {
            assert!(mine.contains(attribute), "{attribute} is not in {mine}");
        }
        assert!(!mine.contains("host.name: Str(PW052B0C)"), "the machine keeps its own name");
    }
    assert!(agent.stop());
    assert!(!env.data().join("receiver.json").exists());
}

/// Guarantees: an acknowledged request is delivered although the agent is killed immediately
/// afterwards.
#[test]
fn acknowledged_request_survives_kill() {
    let Some(backend) = Backend::start() else { return };
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    let agent = env.start();
    let answer = post(&receiver(&env.status()), "/v1/traces", &capture("01-POST_v1_traces"));
    agent.kill();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let agent = env.start();
    wait_for("the spans", || backend.written().contains("interopio.api.interop.invoke").then_some(()));
    assert!(agent.stop());
}

/// Guarantees: an app with the OpenTelemetry SDK for Python sends all three signals through the
/// agent, over gRPC and over HTTP with protobuf and JSON, and keeps its own service name.
#[test]
fn python_sdk_delivers_all_signals() {
    let (Some(backend), Some(python)) = (Backend::start(), peer("DECODER_PYTHON")) else { return };
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let agent = env.start();
    let status = env.status();
    let _ = env.ok(&["logs", "share", "on", "--only", "applications"]);
    for (protocol, port) in [("grpc", "grpc"), ("http-protobuf", "http"), ("http-json", "http")] {
        let mut command = Command::new(&python);
        isolate(command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/send.py")).arg(protocol));
        let sent = output(command.arg(status["receiver"][port].as_str().unwrap()));
        assert!(sent.status.success() && sent.stderr.is_empty(), "{protocol}: {}", text(&sent.stderr));
        let span = wait_for("the span", || {
            let written = backend.written();
            let parts = written.split("Resource SchemaURL").map(str::to_owned);
            parts.into_iter().find(|part| part.contains(&format!("span-over-{protocol}")))
        });
        assert!(span.contains(&format!("service.name: Str(python-{protocol})")), "{span}");
        assert!(span.contains("session.id: Str("), "{span}");
        let record = format!("Body: Str(record over {protocol})");
        wait_for("the record", || backend.written().contains(&record).then_some(()));
        let counter = format!("count_over_{}_total", protocol.replace('-', "_"));
        let found = wait_for("the counter", || Some(backend.query(&counter)).filter(|found| !found.is_empty()));
        assert!((found[0].1 - 3.0).abs() < f64::EPSILON, "{found:?}");
    }
    assert!(agent.stop());
}

/// Guarantees: an app with the OpenTelemetry SDK for JavaScript sends all three signals through the
/// agent, over gRPC and over HTTP with protobuf and JSON. Its log records arrive while the user
/// shares them.
#[test]
fn javascript_sdk_delivers_all_signals() {
    let (Some(backend), Some(modules)) = (Backend::start(), peer("JAVASCRIPT_MODULES")) else { return };
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let agent = env.start();
    let status = env.status();
    let _ = env.ok(&["logs", "share", "on", "--only", "applications"]);
    for (protocol, port) in [("grpc", "grpc"), ("http-protobuf", "http"), ("http-json", "http")] {
        let mut command = Command::new("node");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/sdk/js/send.cjs")).env("NODE_PATH", &modules);
        isolate(&mut command);
        let sent = output(command.args([protocol, status["receiver"][port].as_str().unwrap()]));
        assert!(sent.status.success() && sent.stderr.is_empty(), "{protocol}: {}", text(&sent.stderr));
        let name = format!("service.name: Str(javascript-{protocol})");
        wait_for("all three signals", || {
            let written = backend.written();
            let mine: String = written.split("Resource SchemaURL").filter(|part| part.contains(&name)).collect();
            let all = [format!("javascript-span-{protocol}"), format!("javascript record over {protocol}")];
            all.iter().all(|part| mine.contains(part)).then_some(())
        });
        let counter = format!("javascript_count_{}_total", protocol.replace('-', "_"));
        let found = wait_for("the counter", || Some(backend.query(&counter)).filter(|found| !found.is_empty()));
        assert!((found[0].1 - 3.0).abs() < f64::EPSILON, "{found:?}");
    }
    assert!(agent.stop());
}

/// Guarantees: what a script emits arrives with its attributes. A log record that is not shared is
/// rejected with a reason.
#[test]
fn emit_delivers_items_of_scripts() {
    let Some(backend) = Backend::start() else { return };
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let alone = env.run(&["emit", "event", "com.example.alone"]);
    assert_eq!(alone.status.code(), Some(3), "{}", text(&alone.stderr));
    let agent = env.start();
    let _ = env.status();
    let refused = env.run(&["emit", "log", "not shared"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("does not share the logs"), "{}", text(&refused.stderr));
    let _ = env.ok(&["logs", "share", "on"]);
    let failed = ["span", "com.example.submit", "--duration", "250ms", "--error", "rejected by desk"];
    for words in [
        &["event", "com.example.order.sent", "--body", "sent"][..],
        &["log", "all is well", "--severity", "warn"],
        &["metric", "com.example.orders", "-3.5", "--unit", "{order}"],
        &failed,
    ] {
        let words = [&["emit", "--service", "blotter", "-a", "desk=FX"], words].concat();
        assert_eq!(env.ok(&words).trim(), "Accepted.", "{words:?}");
    }
    let written = wait_for("all items", || {
        let written = backend.written();
        let all = ["EventName: com.example.order.sent", "Str(all is well)", "rejected by desk", "Value: -3.5"];
        all.iter().all(|part| written.contains(part)).then_some(written)
    });
    assert!(!written.contains("not shared"));
    assert_eq!(written.matches("desk: Str(FX)").count(), 4, "{written}");
    assert_eq!(written.matches("service.name: Str(blotter)").count(), 4, "{written}");
    assert!(agent.stop());
}

/// Guarantees: if enabled, metrics are derived from the received spans. They show which calls fail,
/// for whom, and how long each backend takes. Beyond a maximum number of names, calls are counted
/// together.
///
/// Settings: `receiver.request_views.enabled`, `receiver.request_views.spans`,
/// `receiver.sampling.ratio`, `receiver.sampling.keep_errors`.
#[test]
fn spans_become_metrics_when_enabled() {
    let Some(backend) = Backend::start() else { return };
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    env.set("receiver.request_views.enabled=true");
    env.set("receiver.sampling.ratio=0.000001");
    env.set("receiver.sampling.keep_errors=false");
    let agent = env.start();
    let address = receiver(&env.status());
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let span = |name: &str, app: &str, url: &str, milliseconds: u64, code: u32| {
        json!({
            "traceId": "60b65c7d441f766d13ac328f70397ba6", "spanId": "a1733095f300ac7a", "name": name,
            "startTimeUnixNano": "1795422158000000000",
            "endTimeUnixNano": (1_795_422_158_000_000_000 + milliseconds * 1_000_000).to_string(),
            "attributes": [text("tracingAppName", app), text("url", url)], "status": { "code": code },
        })
    };
    let mut spans = vec![
        span("submit", "blotter", "https://one.example.com/orders", 80, 0),
        span("submit", "blotter", "https://one.example.com/orders?id=7", 90, 0),
        span("submit", "blotter", "https://two.example.com/orders", 4000, 2),
    ];
    spans.extend((0..600).map(|number| span(&format!("load {number}"), "chart", "", 1, 0)));
    let request = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let answer = post(&address, "/v1/traces", request.to_string().as_bytes());
    assert!(answer.ends_with("{}"), "{answer}");
    assert_eq!(env.status()["receiver"]["sampled_out"], 603);

    let value = |query: &str| {
        let found = wait_for(query, || Some(backend.query(query)).filter(|found| !found.is_empty()));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].1
    };
    let submits = |host: &str, status: &str| {
        let labels =
            format!(r#"ioconnect_app_name="blotter",server_address="{host}.example.com",otel_status_code="{status}""#);
        value(&format!("ioconnect_request_duration_seconds_count{{{labels}}}"))
    };
    assert!((submits("one", "OK") - 2.0).abs() < f64::EPSILON);
    assert!((submits("two", "ERROR") - 1.0).abs() < f64::EPSILON);
    let slow = value(r#"ioconnect_request_duration_seconds_sum{server_address="two.example.com"}"#);
    assert!((slow - 4.0).abs() < 1e-9, "{slow}");
    let fast = value(r#"ioconnect_request_duration_seconds_bucket{server_address="one.example.com",le="0.1"}"#);
    assert!((fast - 2.0).abs() < f64::EPSILON, "{fast}");
    let beyond = value(r#"ioconnect_request_duration_seconds_count{otel_metric_overflow="true"}"#);
    assert!(beyond > 100.0, "{beyond}");
    let all = value("sum(ioconnect_request_duration_seconds_count)");
    assert!((all - 603.0).abs() < f64::EPSILON, "{all}");
    assert!(agent.stop());
    assert!(!backend.written().contains("Name           : submit"), "sampled out");
}

/// Guarantees: `connect setup` changes io.Connect's system.json so that io.Connect sends to the
/// agent, and keeps the rest of the file. It includes the token of the receiver, and so does
/// `emit`.
#[test]
fn connect_setup_points_io_connect_at_agent() {
    let mut env = TestEnv::new();
    env.set("receiver.http_port=4318");
    env.set("receiver.token=s3cret");
    let printed: Value = serde_json::from_str(&env.ok(&["connect", "setup"])).unwrap();
    assert_eq!(printed["otel"]["traces"]["url"], "http://127.0.0.1:4318/v1/traces");
    let folder = env.folder().join("config");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("system.json");
    std::fs::write(&file, "{\n  // ours\n  \"env\": \"PROD\"\n}\n").unwrap();
    let words = ["connect", "setup", "--file", file.to_str().unwrap()];
    let shown = env.ok(&words);
    assert!(shown.contains("// ours") && shown.contains("Bearer s3cret"), "{shown}");
    let without = env.run(&words);
    assert!(text(&without.stderr).contains("No agent is running"), "{}", text(&without.stderr));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("otel"), "nothing is written");
    let said = env.ok(&[&words[..], &["--write"]].concat());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), shown);
    let kept = said
        .lines()
        .find_map(|line| line.strip_prefix("The previous content was saved to "))
        .unwrap()
        .trim_end_matches('.');
    assert!(std::fs::read_to_string(kept).unwrap().contains("// ours\n  \"env\""), "{said}");
    let again = env.ok(&[&words[..], &["--write"]].concat());
    assert!(again.contains("already"), "{again}");
    std::fs::write(&file, "{ nothing").unwrap();
    let wrong = env.run(&words);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("system.json: it is not valid JSON"), "{}", text(&wrong.stderr));

    env.set("receiver.http_port=0");
    let agent = env.start();
    let address = receiver(&env.status());
    std::fs::write(&file, "{ \"insights\": { \"enabled\": false } }").unwrap();
    let running = env.run(&words);
    assert!(text(&running.stdout).contains(&format!("http://{address}/v1/traces")), "{}", text(&running.stdout));
    let said = text(&running.stderr);
    assert!(said.contains("The running agent") && said.contains("`insights.enabled` is false"), "{said}");
    let refused = post(&address, "/v1/traces", b"{\"resourceSpans\":[]}");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert_eq!(env.ok(&["emit", "span", "com.example.known"]).trim(), "Accepted.");
    assert!(agent.stop());
}

/// Guarantees: the curl example in docs/own-data.md sends a span.
#[test]
fn curl_example_of_own_data_page_works() {
    let Some(backend) = Backend::start() else { return };
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/own-data.md")).unwrap();
    let start = text.find("curl http").unwrap();
    let lines = &text[start..start + text[start..].find("\n```").unwrap()];
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let agent = env.start();
    let lines = lines.replace("127.0.0.1:4318", &receiver(&env.status()));
    let sent = output(Command::new("sh").args(["-c", &lines]));
    assert_eq!(sent.stdout, b"{}", "{}", test_support::test_env::text(&sent.stderr));
    wait_for("the span", || backend.written().contains("Name           : hello").then_some(()));
    assert!(agent.stop());
}
