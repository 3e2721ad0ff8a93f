//! Scenario: settings and policies change while the built agent runs.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use test_support::receiver::Receiver;
use test_support::test_env::{Running, TestEnv, text, wrapped};
use test_support::{output, wait_for};

/// Returns an environment whose collector is set in the settings file.
fn env_with_file(text: &str) -> TestEnv {
    let mut env = TestEnv::new();
    env.unset("collector.endpoint");
    save(&env, text);
    env
}

/// Writes the user's settings file.
fn save(env: &TestEnv, text: &str) {
    fs::create_dir_all(env.settings_file().parent().unwrap()).unwrap();
    fs::write(env.settings_file(), text).unwrap();
}

fn problems(status: &Value) -> String {
    status["problems"].to_string()
}

/// Guarantees: a change of the settings file takes effect within seconds, in the same process and
/// without losing a log line. An invalid file, or one whose collector settings cannot be used,
/// changes nothing and is reported with its line. Once corrected, it takes effect.
///
/// Settings: `program_log.level`.
#[test]
fn saved_settings_apply_without_restart() {
    let receiver = Receiver::start();
    let env =
        env_with_file(r#"{ "collector": { "endpoint": "http://127.0.0.1:1" }, "program_log": { "level": "error" } }"#);
    let agent = env.start();
    let _ = env.status();
    let _ = env.ok(&["logs", "share", "on"]);
    let line = |number: u32| format!("[2026-11-23T08:18:{number:02}.000] [INFO] default - line {number}\n");
    for number in 0..20 {
        env.write("application.log", &line(number));
    }
    env.wait_for_status("a refusal", |status| status["collector"]["logs"]["state"] == "retrying");

    let good = json!({
        "collector": { "endpoint": receiver.endpoint() },
        "resource": { "attributes": { "department": "saved" } },
        "program_log": { "level": "debug" },
    });
    save(&env, &good.to_string());
    for number in 20..40 {
        env.write("application.log", &line(number));
    }
    wait_for("all lines", || (receiver.lines().len() >= 40).then_some(()));
    let mut bodies: Vec<String> = receiver.lines().into_iter().map(|line| line.body).collect();
    bodies.sort_by_key(|body| body.trim_start_matches("line ").parse::<u32>().unwrap());
    assert_eq!(bodies, (0..40).map(|number| format!("line {number}")).collect::<Vec<_>>(), "each line once");
    let status = env.wait_for_status("its health", |status| status["health"] == "delivering");
    assert_eq!(status["process_id"], agent.id());
    assert!(env.agent_log().contains("INFO"), "the log has its new level: {}", env.agent_log());

    save(&env, &good.to_string().replace("saved", "saved\", \"broken"));
    let status = env.wait_for_status("the error", |status| problems(status).contains("config.json:1:"));
    assert!(problems(&status).contains("using the last settings that worked"), "{}", problems(&status));
    assert_eq!(status["health"], "attention");
    let with_file = json!({ "collector": { "endpoint": receiver.endpoint(), "certificate": "/nowhere/ca.pem" } });
    save(&env, &with_file.to_string());
    env.wait_for_status("the missing file", |status| problems(status).contains("/nowhere/ca.pem cannot be read"));
    env.write("application.log", &line(40));
    wait_for("the line that was written in between", || (receiver.lines().len() >= 41).then_some(()));
    save(&env, &good.to_string());
    let status = env.wait_for_status("the corrected file", |status| status["problems"] == json!([]));
    assert_eq!(status["process_id"], agent.id());
    assert!(agent.stop());
}

/// Guarantees: an agent that is asked to shut down while it applies new settings shuts down.
#[test]
fn shutdown_is_obeyed_while_settings_change() {
    let env = TestEnv::new();
    save(&env, "{}");
    let agent = env.start();
    let _ = env.status();
    save(&env, r#"{ "host": { "cpu_threshold": 0.5 } }"#);
    wait_for("the change", || env.agent_log().contains("the settings have changed").then_some(()));
    assert!(agent.stop());
}

/// Starts an agent whose machine has a policy: a mount namespace shows it this folder as
/// `/etc/insights-agent`.
fn start_with_policy(env: &TestEnv, policy: &Path) -> Running {
    let mount = format!("mount --bind {} /etc/insights-agent && exec \"$0\" \"$@\"", policy.display());
    let mut command = wrapped(&env.command(&["run"]), &["unshare", "--mount", "sh", "-c", &mount]);
    command.env_remove("INSIGHTS_POLICY_FILE");
    env.start_as(command)
}

/// Returns whether this user can show the agent another `/etc/insights-agent`.
fn can_mount() -> bool {
    let is_root = text(&output(Command::new("id").arg("-u")).stdout).trim() == "0";
    let can = is_root
        && fs::create_dir_all("/etc/insights-agent").is_ok()
        && output(Command::new("unshare").args(["--mount", "true"])).status.success();
    if !can {
        println!("skipped: only root can test a policy");
    }
    can
}

/// Guarantees: the policy of a Linux machine takes precedence over flags and the file, also when it
/// is added or removed while the agent runs. While it is invalid, the last valid policy stays in
/// force, and a new agent does not start.
///
/// Settings: `policy.share_platform_logs`, `policy.allow_pause`.
#[test]
fn linux_policy_wins_over_file_and_flags() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    fs::write(&policy, r#"{ "policy": { "allow_pause": false, "share_platform_logs": false } }"#).unwrap();
    let mut env = TestEnv::new();
    env.set("policy.allow_pause=true");
    let agent = start_with_policy(&env, folder.path());
    let status = env.status();
    assert_eq!(
        (&status["policy"]["allow_pause"], &status["policy"]["share_platform_logs"]),
        (&json!(false), &json!(false))
    );
    assert!(text(&env.run(&["pause", "one-hour"]).stderr).contains("Your organisation has turned off pausing."));

    fs::write(&policy, r#"{ "policy": { "allow_pause": 7 } }"#).unwrap();
    let status = env.wait_for_status("the error", |status| problems(status).contains("policy.json:1:"));
    assert_eq!(status["policy"]["allow_pause"], false, "the last policy stays in force");
    let mut second = TestEnv::new();
    second.set("policy.allow_pause=true");
    assert_eq!(start_with_policy(&second, folder.path()).wait().code(), Some(2), "{}", second.agent_log());

    fs::remove_file(&policy).unwrap();
    env.wait_for_status("the end of the policy", |status| status["policy"]["allow_pause"] == true);
    assert!(agent.stop());
}
