//! Scenario: a user runs `insights-agent doctor`, with and without faults.

#![cfg(unix)]

use serde_json::Value;
use test_support::peers::Backend;
use test_support::test_env::{TestEnv, text};

/// Returns the checks of a topic: whether each is good, and its sentence.
fn lines(env: &TestEnv, topic: &str) -> Vec<(bool, String)> {
    let output = env.run(&["doctor", "--json"]);
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let all_good = checks.iter().all(|check| check["good"] == true);
    assert_eq!(output.status.code(), Some(i32::from(!all_good)), "{checks:?}");
    let of_topic = checks.iter().filter(|check| check["topic"] == topic);
    of_topic.map(|check| (check["good"] == true, check["sentence"].as_str().unwrap().to_owned())).collect()
}

/// Guarantees: when everything works, every check except the one for autostart is good. The
/// collector is asked for each signal, and its clock is compared.
#[test]
fn doctor_reports_ok_when_everything_works() {
    let Some(backend) = Backend::start() else { return };
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.http));
    env.set("collector.protocol=http/protobuf");
    env.write("application.log", "[2026-11-23T08:18:10.936] [INFO] default - hello\n");
    let agent = env.start();
    let _ = env.status();
    let _ = env.ok(&["logs", "share", "on"]);
    env.wait_for_status("a delivery", |status| status["health"] == "delivering");
    let good = |topic: &str, part: &str| {
        let lines = lines(&env, topic);
        assert!(lines.iter().all(|(good, _)| *good) && lines.iter().any(|(_, line)| line.contains(part)), "{lines:?}");
        lines.len()
    };
    for (topic, part) in [
        ("version", "insights-agent"),
        ("settings", "valid"),
        ("agent", "Connected"),
        ("data folder", "is writable"),
        ("queue", "queue"),
        ("route", "connected"),
        ("clock", "differ by"),
        ("logs", "1 log file"),
        ("sharing", "platform and applications"),
    ] {
        let _ = good(topic, part);
    }
    assert_eq!(good("collector", "accepts logs"), 3);
    let people = text(&env.run(&["doctor"]).stdout);
    assert!(people.contains("ok    collector    "), "{people}");
    assert!(agent.stop());
}

/// Guarantees: `doctor` reports each problem together with its solution (a setting, the collector,
/// the logs), also without a running agent, and changes nothing.
///
/// Settings: `connect.user_data`.
#[test]
fn doctor_explains_faults_and_changes_nothing() {
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    env.set("connect.user_data=[\"/nowhere\"]");
    for (topic, part) in [
        ("agent", "No agent is running"),
        ("collector", "connection was refused. Start the collector there"),
        ("logs", "No io.Connect log folders found in /nowhere"),
    ] {
        let lines = lines(&env, topic);
        assert!(lines.len() == 1 && !lines[0].0 && lines[0].1.contains(part), "{topic}: {lines:?}");
    }
    assert!(!env.data().exists(), "nothing is created");
    env.set("collector.certificate=/nowhere/authority.pem");
    assert!(lines(&env, "certificates")[0].1.contains("/nowhere/authority.pem cannot be read"));
    env.set("collector.timeout=soon");
    let wrong = lines(&env, "settings");
    assert!(!wrong[0].0 && wrong[0].1.contains("`soon` is not a duration"), "{wrong:?}");
}
