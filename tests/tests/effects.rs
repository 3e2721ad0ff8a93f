//! Scenario: each setting is changed from its default. A table names the test of every setting;
//! settings without a test elsewhere have theirs here.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use insights_agent::config::setting_keys;
use test_support::platform::Platform;
use test_support::receiver::Receiver;
use test_support::test_env::TestEnv;
use test_support::wait_for;

/// A test and the settings whose effect it shows, as its doc comment lists them.
struct EffectTest {
    file: PathBuf,
    name: String,
    settings: Vec<String>,
    /// The file without its doc comments.
    code: Rc<str>,
}

/// Returns the tests of one source file that name settings.
///
/// A test does so in the last paragraph of its doc comment: `Settings:`, then keys in backquotes. A
/// key of a section stands for all settings in it.
fn effect_tests(file: &Path) -> Vec<EffectTest> {
    let text = fs::read_to_string(file).unwrap();
    let code: Rc<str> = text.lines().filter(|line| !line.trim_start().starts_with("///")).collect::<String>().into();
    let mut lines = text.lines().map(str::trim_start).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("/// Settings:") else { continue };
        let mut list = first.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("///")) {
            list.push_str(more);
        }
        let mut is_test = false;
        let function = lines.find(|line| {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            line.contains("fn ")
        });
        let name = function.and_then(|line| line.split("fn ").nth(1)?.split('(').next()).unwrap_or_default().to_owned();
        assert!(is_test, "{}: `Settings:` belongs to a test, not to `{name}`", file.display());
        let settings: Vec<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!settings.is_empty(), "{}: {name} names no setting in backquotes", file.display());
        found.push(EffectTest { file: file.to_owned(), name, settings, code: Rc::clone(&code) });
    }
    found
}

/// Returns all Rust files below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => rust_files(&path),
            Some(extension) if extension == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

/// Scenario: the doc comments of all tests are searched for the settings whose effect they show.
/// Guarantees: every setting of the schema is named by exactly one test, alone or with its section;
/// no test names a setting that does not exist; the file of the test uses the setting.
#[test]
fn effects_every_setting_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = ["agent/src", "src-tauri/src", "tests/tests"];
    let tests = folders.iter().flat_map(|folder| rust_files(&root.join(folder))).flat_map(|file| effect_tests(&file));
    let all = setting_keys();
    let mut missing: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    for EffectTest { file, name, settings, code } in tests {
        let test = format!("{}: {name}", file.display());
        for setting in settings {
            let word = setting.rsplit('.').next().unwrap().trim_end_matches("[]");
            let defaults = include_str!("../support/src/test_env.rs");
            assert!(code.contains(word) || defaults.contains(&setting), "{test}: its file does not use {setting}");
            let section = format!("{setting}.");
            let shown: Vec<&String> = all.iter().filter(|key| **key == setting || key.starts_with(&section)).collect();
            assert!(!shown.is_empty(), "{test}: there is no setting {setting}");
            for key in shown {
                assert!(missing.remove(key.as_str()), "{test}: another test names {key} already");
            }
        }
    }
    assert!(missing.is_empty(), "no test names these settings in a line `/// Settings:`: {missing:?}");
}

/// Guarantees: only the enabled sources send metrics or accept data, and the metrics use the
/// configured thresholds.
///
/// Settings: `host.enabled`, `processes.enabled`, `internal_metrics.enabled`, `focus.enabled`,
/// `receiver.enabled`, `host.cpu_threshold`, `host.memory_threshold`.
#[test]
fn only_enabled_sources_report() {
    let switches = ["host", "processes", "internal_metrics", "focus", "receiver"];
    for on in switches {
        let receiver = Receiver::start();
        let mut env = TestEnv::new();
        env.set(format!("collector.endpoint={}", receiver.endpoint()));
        env.set("host.cpu_threshold=0.123");
        env.set("host.memory_threshold=0.321");
        for switch in switches {
            env.set(format!("{switch}.enabled={}", switch == on));
        }
        let _platform = Platform::start(&env.data(), "io-connect-desktop");
        let agent = env.start();
        let status = env.status();
        assert_eq!(status["receiver"].is_object(), on == "receiver", "{on}: {status}");
        let observed = env.wait_for_status("a first observation", |status| {
            on != "focus" || !status["focus"]["state"].is_null() || !status["focus"]["problem"].is_null()
        });
        let is_absent = observed["focus"]["state"].is_null() && observed["focus"]["problem"].is_null();
        assert_eq!(is_absent, on != "focus", "{on}: {observed}");
        let scope = match on {
            "host" => Some("insights-agent.host"),
            "processes" => Some("insights-agent.processes"),
            "internal_metrics" => Some("insights-agent.internal"),
            _ => None,
        };
        if let Some(scope) = scope {
            wait_for(scope, || receiver.scopes().contains_key(scope).then_some(()));
            assert_eq!(receiver.scopes().keys().collect::<Vec<_>>(), [scope], "{on}");
        }
        if on == "host" {
            let metrics = wait_for("both thresholds", || {
                let metrics = receiver.scopes().remove("insights-agent.host").unwrap();
                ["0.123", "0.321"].iter().all(|threshold| metrics.contains(threshold)).then_some(metrics)
            });
            assert!(metrics.contains("ioconnect.host.memory.time_above_threshold"), "{metrics}");
        }
        assert!(agent.stop());
    }
}

/// Guarantees: with `host.one_per_machine`, only one of two agents on a machine exports host
/// metrics. When it ends, the other one takes over.
///
/// Settings: `host.one_per_machine`, `host.export_interval`, `host.sample_interval`.
#[test]
fn host_metrics_come_from_one_agent_per_machine() {
    let receivers = [Receiver::start(), Receiver::start()];
    let lock = tempfile::tempdir().unwrap();
    let envs = receivers.each_ref().map(|receiver| {
        let mut env = TestEnv::new();
        env.set(format!("collector.endpoint={}", receiver.endpoint()));
        env.set("host.one_per_machine=true");
        env
    });
    let start = |env: &TestEnv| {
        let mut command = env.command(&["run"]);
        command.env("INSIGHTS_LEADER_LOCK_FOLDER", lock.path());
        env.start_as(command)
    };
    let reports = |which: usize| receivers[which].scopes().get("insights-agent.host").cloned().unwrap_or_default();
    let first = start(&envs[0]);
    wait_for("the first agent", || reports(0).contains("system.uptime").then_some(()));
    let second = start(&envs[1]);
    wait_for("the second agent's own metrics", || {
        receivers[1].scopes().contains_key("insights-agent.internal").then_some(())
    });
    assert!(!reports(1).contains("system.uptime"), "{}", reports(1));
    assert!(first.stop());
    wait_for("the second agent to take over", || reports(1).contains("system.uptime").then_some(()));
    assert!(second.stop());
}

/// Guarantees: with `logs.watch` the agent watches the log folders for changes. Without it, the
/// agent only polls, and lines arrive as well.
///
/// Settings: `logs.watch`, `logs.poll_interval`, `logs.flush_interval`.
#[test]
fn log_files_are_watched_only_when_enabled() {
    let receiver = Receiver::start();
    for watched in [true, false] {
        let mut env = TestEnv::new();
        env.set(format!("collector.endpoint={}", receiver.endpoint()));
        env.set(format!("logs.watch={watched}"));
        env.set("logs.poll_interval=200ms");
        env.set("logs.flush_interval=50ms");
        let agent = env.start();
        let _ = env.status();
        let _ = env.ok(&["logs", "share", "on"]);
        env.write("application.log", &format!("[2026-11-23T08:18:10.936] [INFO] default - watched {watched}\n"));
        let body = format!("watched {watched}");
        wait_for(&body, || receiver.lines().iter().any(|line| line.body == body).then_some(()));
        let handles = fs::read_dir(format!("/proc/{}/fdinfo", agent.id())).unwrap();
        let infos = handles.filter_map(|handle| fs::read_to_string(handle.unwrap().path()).ok());
        let watches = infos.filter(|info| info.contains("inotify wd:")).count();
        assert_eq!(watches > 0, watched);
        assert!(agent.stop());
    }
}
