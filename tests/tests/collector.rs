//! Scenario: the built agent sends to programs that share no code with it: the OpenTelemetry
//! Collector with VictoriaMetrics, and a decoder in Python.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use test_support::decoder::Decoder;
use test_support::peers::Backend;
use test_support::platform::Platform;
use test_support::test_env::TestEnv;
use test_support::{peer, wait_for};

const LINES: &str = "[2026-11-23T08:18:10.936] [INFO] default - all is well\n\
                     [2026-11-23T08:18:11.001] [ERROR] default - Error: boom\n    at run.js:13:143\n";
const APP_LINE: &str = "[2026-11-23T08:18:12.500] [WARN] [9816_10] clientlist.main - slow: \u{dc}n\u{ef}code\n";

fn test_env(protocol: &str, port: u64) -> TestEnv {
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{port}"));
    env.set(format!("collector.protocol={protocol}"));
    env.set("resource.user=name");
    env.set("resource.environment=test");
    env.set("resource.attributes.department=%NOT_SET_HERE?unknown%");
    let _ = env.ok(&["logs", "share", "on"]);
    env
}

/// Guarantees: over gRPC and HTTP, the Collector accepts everything. Its debug exporter shows the
/// log records as they were written, and `PromQL` finds the metrics with the documented names,
/// units, attributes and values.
#[test]
fn collector_receives_logs_and_metrics_over_both_protocols() {
    let Some(backend) = Backend::start() else { return };
    for (protocol, port) in [("grpc", backend.grpc), ("http/protobuf", backend.http)] {
        let env = test_env(protocol, port.into());
        let platform = Platform::start(&env.data(), "io-connect-desktop");
        let agent = env.start();
        env.write("application.log", LINES);
        env.write("applications/clientlist.log", APP_LINE);
        env.wait_for_status("delivery of both signals", |status| {
            let acknowledged = |signal: &str| status["collector"][signal]["acknowledged_items"].as_u64().unwrap();
            status["health"] == "delivering" && acknowledged("logs") >= 3 && acknowledged("metrics") > 0
        });
        let session = fs::read_to_string(env.data().join("session.json")).unwrap();
        let session = serde_json::from_str::<Value>(&session).unwrap()["id"].as_str().unwrap().to_owned();

        let written = wait_for("the log records", || {
            let written = backend.written();
            let mine = written.split("ResourceLog #0").filter(|part| part.contains(&session)).collect::<String>();
            mine.contains("boom").then_some(mine).filter(|mine| mine.contains("slow"))
        });
        for expected in [
            "Body: Str(all is well)",
            "Body: Str(Error: boom\n    at run.js:13:143)",
            "Body: Str(slow: \u{dc}n\u{ef}code)",
            "SeverityText: ERROR",
            "SeverityNumber: Error(17)",
            "ioconnect.app.name: Str(clientlist)",
            "ioconnect.instance.id: Str(9816_10)",
            "ioconnect.log.category: Str(clientlist.main)",
            "ioconnect.env_region: Str(DEMO-INTEROP.IO)",
            "log.file.name: Str(application.log)",
            "deployment.environment.name: Str(test)",
            "department: Str(unknown)",
            "InstrumentationScope insights-agent.logs",
        ] {
            assert!(written.contains(expected), "{protocol}: `{expected}` is missing in:\n{written}");
        }

        let of = |promql: &str| {
            let selector = format!("session_id=\"{session}\"");
            wait_for(promql, || Some(backend.query(&promql.replace('$', &selector))).filter(|found| !found.is_empty()))
        };
        let total: f64 = memory_of_this_machine();
        let limit = of("system_memory_limit_bytes{$}");
        assert!((limit[0].1 - total).abs() < 1.0, "{protocol}: {limit:?} is not {total}");
        let states = of("system_memory_usage_bytes{$}");
        let names: BTreeSet<_> = states.iter().map(|(labels, _)| labels["system_memory_state"].to_string()).collect();
        assert_eq!(names, ["\"free\"", "\"used\""].map(String::from).into(), "{protocol}");
        let sum: f64 = states.iter().map(|(_, value)| value).sum();
        assert!((sum - total).abs() < 1.0, "{protocol}: used and free are {sum}, not {total}");
        let labels = &states[0].0;
        assert_eq!(
            (&labels["deployment_environment_name"], &labels["department"]),
            (&json!("test"), &json!("unknown"))
        );
        assert!(labels["host_name"].is_string() && labels["user_name"].is_string(), "{labels}");

        let busy = of("system_cpu_utilization_ratio{$}");
        assert!((0.0..=1.0).contains(&busy[0].1), "{protocol}: {busy:?}");
        let above = of("ioconnect_host_cpu_time_above_threshold_seconds_total{$}");
        assert!(above[0].1 >= 0.0 && above[0].0["ioconnect_threshold"] == "0.9", "{protocol}: {above:?}");
        for name in ["system_uptime_seconds", "system_filesystem_usage_bytes", "system_cpu_logical_count"] {
            assert!(of(&format!("{name}{{$}}"))[0].1 > 0.0, "{protocol}: {name}");
        }
        let _one_renderer = of("ioconnect_process_count{ioconnect_process_role=\"renderer\", $} == 1");
        let memory = of("process_memory_usage_bytes{ioconnect_process_role=\"main\", $} > 0");
        assert!(memory[0].1 > 100_000.0, "{protocol}: {memory:?}");
        let component = format!("otlp_{}_log_exporter", protocol.trim_end_matches("/protobuf"));
        let exported = format!("otel_sdk_exporter_log_exported_total{{otel_component_type=\"{component}\", $}} >= 3");
        assert_eq!(of(&exported)[0].0["server_address"], "127.0.0.1", "{protocol}");
        assert!(of("insights_agent_logs_read_total{$} >= 3")[0].1 < 10.0, "{protocol}");
        assert!(of("otel_sdk_exporter_operation_duration_seconds_count{$} > 0")[0].1 > 0.0, "{protocol}");
        assert!(of("insights_agent_queue_limit_bytes{$}")[0].1 > 1e6, "{protocol}");
        assert!(agent.stop());
        drop(platform);
    }
}

/// Returns the memory of this machine, in bytes.
fn memory_of_this_machine() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// Guarantees: code that shares nothing with the agent decodes every field of its requests, over
/// gRPC and HTTP.
#[test]
fn independent_decoder_reads_every_field() {
    let Some(python) = peer("DECODER_PYTHON") else { return };
    let decoder = Decoder::start(&python);
    for (protocol, over, port) in [("grpc", "grpc", decoder.grpc), ("http/protobuf", "http", decoder.http)] {
        let env = test_env(protocol, port);
        let agent = env.start();
        env.write("application.log", LINES);
        env.write("applications/clientlist.log", APP_LINE);
        let mine = |signal: &str| {
            let items = decoder.items(signal).into_iter();
            items.filter(|item| item["over"] == over).collect::<Vec<_>>()
        };
        let of_scope = |scope: &str| mine("logs").into_iter().filter(|log| log["scope"] == scope).collect::<Vec<_>>();
        let logs = wait_for("three records", || Some(of_scope("insights-agent.logs")).filter(|logs| logs.len() == 3));
        let events = wait_for("two consent events", || {
            let mut events = of_scope("insights-agent.events");
            events.retain(|event| event["event"] == "ioconnect.consent.changed");
            (events.len() == 2).then_some(events)
        });
        let platform = &events[0];
        assert_eq!(platform["body"], "Logs of platform are now shared.");
        assert_eq!(platform["attributes"]["ioconnect.consent.shared"], true);
        assert_eq!(platform["attributes"]["ioconnect.consent.version"], 1);
        let by_level = |level: &str| logs.iter().find(|log| log["level"] == level).unwrap();
        let error = by_level("ERROR");
        assert_eq!(error["body"], "Error: boom\n    at run.js:13:143");
        assert_eq!((&error["severity"], &error["event"]), (&json!(17), &json!("")));
        assert!(error["observed"].as_u64().unwrap() > 1_700_000_000_000_000_000);
        assert_eq!(error["time"].as_u64().unwrap() % 1_000_000_000, 1_000_000, "the milliseconds of the line");
        let attributes = &by_level("WARN")["attributes"];
        assert_eq!(attributes["ioconnect.app.name"], "clientlist");
        assert_eq!(attributes["ioconnect.instance.id"], "9816_10");
        assert_eq!(attributes["log.file.name"], "clientlist.log");
        let uids: BTreeSet<_> = logs.iter().map(|log| log["attributes"]["log.record.uid"].to_string()).collect();
        assert_eq!(uids.len(), 3);

        let limit = wait_for("the limit of memory", || {
            mine("metrics").into_iter().find(|metric| metric["name"] == "system.memory.limit")
        });
        assert_eq!((&limit["unit"], &limit["kind"]), (&json!("By"), &json!("sum")));
        let seconds = wait_for("the threshold counter", || {
            let name = "ioconnect.host.memory.time_above_threshold";
            mine("metrics").into_iter().find(|metric| metric["name"] == name)
        });
        assert_eq!(
            (&seconds["unit"], &seconds["monotonic"], &seconds["cumulative"]),
            (&json!("s"), &json!(true), &json!(true))
        );
        assert_eq!(limit["resource"], error["resource"], "metrics and logs have one resource");
        assert!(agent.stop());
    }
}
