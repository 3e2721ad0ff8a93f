//! Scenario: a user runs the commands of the built agent.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use test_support::receiver::Receiver;
use test_support::test_env::{TestEnv, program, text};
use test_support::{free_port, wait_for};

/// Guarantees: a wrong settings file keeps the agent from starting. `run` and `config check` print
/// the position, the setting, what is wrong and what is allowed, and exit with code 2.
#[test]
fn wrong_settings_file_stops_start_and_is_shown_with_position() {
    let env = TestEnv::new();
    let file = env.log("config.json");
    fs::write(&file, "{\n  // where to\n  \"collector\": { \"protocol\": \"carrier pigeon\" }\n}\n").unwrap();
    for command in ["run", "config check"] {
        let words: Vec<&str> = command.split(' ').chain(["--config", file.to_str().unwrap()]).collect();
        let output = env.run(&words);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let said = text(&output.stderr);
        for part in ["config.json:3:", "collector.protocol", "carrier pigeon", "http/protobuf"] {
            assert!(said.contains(part), "{command}: `{part}` is missing in: {said}");
        }
    }
    assert!(!env.data().join("queue.db").exists(), "nothing was started");
}

/// Guarantees: when the settings file breaks, the last good settings apply at the next start, and
/// the status says what is wrong.
#[test]
fn last_good_settings_apply_when_file_breaks() {
    let mut env = TestEnv::new();
    env.unset("collector.endpoint");
    let file = env.log("config.json");
    let port = free_port();
    fs::write(&file, format!("{{ \"collector\": {{ \"endpoint\": \"http://127.0.0.1:{port}\" }} }}")).unwrap();
    env.set("host.cpu_threshold=0.8");
    let with_file = ["run", "--config", file.to_str().unwrap()];
    let mut agent = env.command(&with_file).stderr(Stdio::null()).spawn().unwrap();
    let _ = env.status();
    agent.kill().unwrap();
    agent.wait().unwrap();

    fs::write(&file, "{ \"collector\": ").unwrap();
    let mut agent = env.command(&with_file).stderr(Stdio::null()).spawn().unwrap();
    let status = env.status();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(status["health"], "attention");
    assert_eq!(status["collector"]["endpoint"], format!("http://127.0.0.1:{port}"));
    assert!(status["problems"][0].as_str().unwrap().contains("using the last settings that worked"), "{status}");
}

/// Guarantees: `config show` masks secrets and names the origin of every setting. A wrong variable
/// is reported and ignored.
#[test]
fn config_show_masks_secrets_and_names_origins() {
    let env = TestEnv::new();
    let mut command = env.command(&["config", "show"]);
    command
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20geheim")
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "soon");
    let output = command.output().unwrap();
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(!shown.contains("geheim") && !said.contains("geheim"));
    let header = shown.lines().find(|line| line.contains("authorization")).unwrap();
    assert!(header.contains("****") && header.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{header}");
    assert!(said.contains("OTEL_EXPORTER_OTLP_TIMEOUT"), "a wrong variable is reported: {said}");
}

/// Guarantees: `status` says that no agent runs, and exits with code 3.
#[test]
fn status_fails_when_no_agent_runs() {
    let env = TestEnv::new();
    let output = env.run(&["status"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("no agent is running"));
}

/// Guarantees: a consent change while the agent starts is kept, and the agent starts, whichever of
/// the two is first.
#[test]
fn consent_change_during_start_is_kept() {
    for round in 0..8 {
        let mut env = TestEnv::new();
        env.set("collector.endpoint=http://127.0.0.1:1");
        let agent = env.start();
        let shared = round % 2 == 0;
        let _ = env.ok(&["logs", "share", if shared { "on" } else { "off" }]);
        let status = env.status();
        assert_eq!(status["logs"]["shared"].as_array().unwrap().is_empty(), !shared, "{status}");
        assert_eq!(status["process_id"], agent.id());
        assert!(agent.stop());
    }
}

/// Guarantees: a second agent on the same data folder says why it exits, and does not disturb the
/// first one.
#[test]
fn second_agent_on_same_data_folder_exits() {
    let receiver = Receiver::start();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let agent = env.start();
    let first = env.status()["process_id"].clone();
    let second = env.run(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("already running"), "{}", text(&second.stderr));
    assert_eq!(env.status()["process_id"], first);
    assert!(agent.stop());
}

/// Guarantees: sharing that is changed at the command line takes effect in the running agent. When
/// sharing ends, queued records are deleted.
#[test]
fn log_sharing_changes_while_agent_runs() {
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", free_port()));
    let agent = env.start();
    assert_eq!(env.status()["logs"]["shared"], serde_json::json!([]));
    env.write("application.log", "[2026-11-23T08:18:10.936] [INFO] default - private\n");
    let _ = env.ok(&["logs", "share", "on", "--only", "platform"]);
    env.wait_for_status("the file to be followed", |status| status["logs"]["reading"]["files"] == 1);
    env.write("application.log", "[2026-11-23T08:18:11.936] [INFO] default - shared\n");
    env.write("applications/clientlist.log", "[2026-11-23T08:18:11.936] [INFO] default - not shared\n");
    env.wait_for_status("the record to wait", |status| status["queue"]["counters"]["read.logs"] == 1);
    assert!(env.ok(&["logs", "share", "status"]).lines().any(|line| line.starts_with("applications  not shared")));

    let said = env.ok(&["logs", "share", "off"]);
    assert!(said.contains("1 queued records were deleted"), "{said}");
    env.wait_for_status("its end", |status| status["queue"]["counters"]["dropped.logs.withdrawn"] == 1);
    assert!(agent.stop());
    assert!(env.ok(&["queue"]).contains("dropped.logs.withdrawn: 1"));
}

/// Guarantees: an unreachable collector is reported in a sentence. Data stays in the queue and is
/// delivered when a collector is there, also after a restart.
#[test]
fn queued_data_is_delivered_when_collector_returns() {
    let mut env = TestEnv::new();
    let receiver = Receiver::start();
    let _ = env.ok(&["logs", "share", "on"]);
    env.set("collector.endpoint=http://127.0.0.1:1");
    let agent = env.start();
    env.write("application.log", "[2026-11-23T08:18:11.936] [INFO] default - patient\n");
    let status = env.wait_for_status("the record to wait", |status| {
        status["queue"]["counters"]["read.logs"] == 1 && status["health"] == "buffering"
    });
    let sentence = status["sentence"].as_str().unwrap();
    assert!(sentence.contains("No program answers at 127.0.0.1:1"), "{sentence}");
    assert!(agent.stop());

    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let agent = env.start();
    wait_for("the record", || (receiver.lines().len() == 1).then_some(()));
    assert_eq!(receiver.lines()[0].body, "patient");
    assert!(agent.stop());
}

/// Guarantees: every consent change arrives as an event, in order, whether or not an agent ran when
/// it was made.
#[test]
fn consent_changes_arrive_as_events() {
    let receiver = Receiver::start();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let _ = env.ok(&["logs", "share", "on"]);
    let agent = env.start();
    let changes = || {
        let mut events = receiver.events();
        events.retain(|event| event.name == "ioconnect.consent.changed");
        events
    };
    wait_for("the first events", || (changes().len() == 2).then_some(()));
    let _ = env.ok(&["logs", "share", "off", "--only", "applications"]);
    wait_for("the last event", || (changes().len() == 3).then_some(()));
    assert!(agent.stop());
    let agent = env.start();
    let _ = env.status();
    assert!(agent.stop());

    let events = changes();
    let of = |key: &str| events.iter().map(|event| event.attributes[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("ioconnect.consent.kind"), ["platform", "applications", "applications"]);
    assert_eq!(of("ioconnect.consent.shared"), ["true", "true", "false"]);
    assert_eq!(of("ioconnect.consent.by"), ["user", "user", "user"]);
    assert_eq!(of("ioconnect.consent.version"), ["1", "1", "1"]);
}

/// Guarantees: while paused, the agent does not measure, read or send anything, also after a
/// restart. Lines that were written during the pause are sent afterwards.
#[test]
fn pause_stops_everything_and_loses_nothing() {
    let receiver = Receiver::start();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let _ = env.ok(&["logs", "share", "on"]);
    env.write("application.log", "[2026-11-23T08:18:11.936] [INFO] default - before\n");
    let agent = env.start();
    env.write("application.log", "[2026-11-23T08:18:11.936] [INFO] default - first\n");
    wait_for("the first line", || receiver.lines().iter().any(|line| line.body == "first").then_some(()));
    assert!(env.ok(&["pause", "one-hour"]).starts_with("Paused until "));
    assert!(agent.stop());

    let agent = env.start();
    env.write("application.log", "[2026-11-23T08:18:12.936] [INFO] default - second\n");
    let paused = env.status();
    assert_eq!(paused["health"], "paused");
    // Longer than sampling, exporting and reading take without a pause.
    let started = paused["taken_unix_ms"].as_i64().unwrap();
    let later = env.wait_for_status("three seconds", |status| status["taken_unix_ms"].as_i64() > Some(started + 3_000));
    assert_eq!(later["host"]["memory"], serde_json::Value::Null, "nothing was measured");
    assert_eq!(later["queue"]["metrics"]["batches"], 0);
    assert!(receiver.lines().iter().all(|line| line.body != "second"));

    assert!(env.ok(&["pause", "resume"]).starts_with("Not paused"));
    wait_for("the second line", || receiver.lines().iter().any(|line| line.body == "second").then_some(()));
    env.wait_for_status("measurements", |status| !status["host"]["memory"].is_null());
    assert!(agent.stop());
}

/// Guarantees: no log file is opened before the user shares logs, as inotify reports it.
/// Settings: `logs.start_at`.
#[cfg(target_os = "linux")]
#[test]
fn log_files_are_not_opened_before_sharing() {
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    env.set("logs.poll_interval=100ms");
    env.set("logs.start_at=beginning");
    for name in ["application.log", "applications/clientlist.log"] {
        env.write(name, "[2026-11-23T08:18:11.936] [INFO] default - private\n");
    }
    let opened = opened_files(&env);
    let agent = env.start();
    env.wait_for_status("some exports", |status| status["queue"]["metrics"]["batches"].as_u64() >= Some(3));
    assert!(agent.stop());
    assert_eq!(opened.try_iter().next(), None, "a log file was opened");

    let _ = env.ok(&["logs", "share", "on", "--only", "platform"]);
    let agent = env.start();
    env.wait_for_status("the record", |status| status["queue"]["counters"]["read.logs"] == 1);
    assert!(agent.stop());
    let opened: Vec<_> = opened.try_iter().collect();
    assert!(opened.iter().all(|path| path.ends_with("application.log")), "{opened:?}");
    assert!(!opened.is_empty(), "inotify reports nothing");
}

/// Reports the files in the log folders that any program opens from now on.
#[cfg(target_os = "linux")]
fn opened_files(env: &TestEnv) -> std::sync::mpsc::Receiver<std::path::PathBuf> {
    use notify::event::{AccessKind, EventKind};
    use notify::{RecursiveMode, Watcher};
    let (send, receive) = std::sync::mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let event = event.unwrap();
        if matches!(event.kind, EventKind::Access(AccessKind::Open(_))) {
            event.paths.into_iter().filter(|path| !path.is_dir()).for_each(|path| drop(send.send(path)));
        }
    })
    .unwrap();
    watcher.watch(env.log("application.log").parent().unwrap(), RecursiveMode::Recursive).unwrap();
    // It watches until the test's process exits.
    std::mem::forget(watcher);
    receive
}

/// Guarantees: every thread of the agent runs at low priority.
#[cfg(target_os = "linux")]
#[test]
fn agent_threads_run_at_low_priority() {
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    let agent = env.start();
    let _ = env.status();
    for thread in fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap() {
        let stat = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        // proc_pid_stat(5): nice is field 19; the first field after the name in brackets is field
        // 3.
        let nice = stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap();
        assert_eq!(nice, "10", "{stat}");
    }
}

/// Guarantees: of a thousand log files that are all written at the same time, several times, every
/// line is read, while at most 64 files are open and memory stays below 100 MB.
#[cfg(target_os = "linux")]
#[test]
fn thousand_log_files_are_read_with_few_handles() {
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    env.set("logs.poll_interval=200ms");
    let _ = env.ok(&["logs", "share", "on"]);
    let agent = env.start();
    let _ = env.status();
    for turn in 1..=3 {
        for number in 0..1000 {
            let line = format!("[2026-11-23T08:18:11.936] [INFO] [1_2] app - turn {turn}\n");
            env.write(&format!("applications/app-{number}.log"), &line);
        }
        let status = env.wait_for_status("all lines", |status| {
            status["queue"]["counters"]["read.logs"].as_u64() == Some(turn * 1000)
        });
        assert_eq!(status["logs"]["reading"]["files"], 1000);
        let handles = fs::read_dir(format!("/proc/{}/fd", agent.id())).unwrap();
        let logs = handles.filter_map(|handle| fs::read_link(handle.ok()?.path()).ok());
        let open = logs.filter(|file| file.extension().is_some_and(|extension| extension == "log"));
        let open = open.filter(|file| file.to_string_lossy().contains("/applications/")).count();
        assert!(open <= 64, "{open} log files are open");
    }
    let memory = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let peak =
        memory.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.unwrap() < 100_000, "{peak:?} kB");
    assert!(agent.stop());
}

/// Guarantees: after a shutdown, all data is in the main queue file, although the collector is
/// unreachable.
#[test]
fn shutdown_leaves_everything_on_disk() {
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    let agent = env.start();
    let _ = env.status();
    assert!(agent.stop());
    assert!(!env.data().join("queue.db-wal").exists(), "everything is in the main file");
    let said = env.agent_log();
    assert!(said.contains("stopped"), "{said}");
    assert!(fs::read_to_string(env.data().join("log/insights-agent.log")).unwrap().contains("stopped"));
}

/// Guarantees: `delete-data` deletes the data folder, but not while an agent runs, and no folder of
/// something else.
#[test]
fn delete_data_refuses_running_agent_and_foreign_folder() {
    let mut env = TestEnv::new();
    env.set("collector.endpoint=http://127.0.0.1:1");
    let agent = env.start();
    let _ = env.status();
    let refused = env.run(&["delete-data"]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("an agent is using"),
        "{}",
        text(&refused.stderr)
    );
    assert!(env.ok(&["stop"]).contains("stopped"));
    assert!(agent.wait().success());
    assert!(env.ok(&["delete-data"]).contains("Deleted"));
    assert!(!env.data().exists());

    fs::create_dir_all(env.data()).unwrap();
    fs::write(env.data().join("thesis.txt"), "mine").unwrap();
    let refused = env.run(&["delete-data"]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("not a data folder of the agent"),
        "{}",
        text(&refused.stderr)
    );
    assert!(env.data().join("thesis.txt").exists());
}

/// Guarantees: the debug collector prints what arrives, as JSON.
#[test]
fn debug_collector_prints_received_items() {
    let mut command = Command::new(program());
    command.args(["collector", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--format", "json"]);
    let mut collector = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(collector.stderr.take().unwrap()).lines();
    let endpoint = said
        .find_map(|line| {
            line.unwrap().strip_prefix("OTLP/gRPC at ").map(|rest| rest.split(',').next().unwrap().to_owned())
        })
        .unwrap();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={endpoint}"));
    let agent = env.start();
    let mut printed = BufReader::new(collector.stdout.take().unwrap()).lines();
    let uptime = printed.find_map(|line| {
        let item: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        (item["name"] == "system.uptime").then_some(item)
    });
    assert_eq!(uptime.unwrap()["unit"], "s");
    assert!(agent.stop());
    collector.kill().unwrap();
    collector.wait().unwrap();
}
