//! Scenario: the programs for Windows run under Wine.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::Value;
use test_support::peers::Backend;
use test_support::receiver::Receiver;
use test_support::test_env::{TestEnv, text};
use test_support::user::{Script, User};
use test_support::wait_for;
use test_support::wine::Wine;

/// The colour of the icon while data is delivered.
const DELIVERING: u32 = 0x14_80_5a;
const LINE: &str = "[2026-11-23T08:18:10.936] [INFO] default - ";

fn shared(wine: &Wine, endpoint: &str) -> TestEnv {
    let mut env = TestEnv::on(wine);
    env.set(format!("collector.endpoint={endpoint}"));
    env.set("logs.poll_interval=500ms");
    let _ = env.ok(&["logs", "share", "on"]);
    env
}

/// Guarantees: the Collector receives the real CPU and memory of this machine, and the lines of log
/// files.
#[test]
fn collector_receives_metrics_and_logs_from_windows() {
    let Some(wine) = Wine::start() else { return };
    let Some(backend) = Backend::start() else { return };
    let env = shared(&wine, &format!("http://127.0.0.1:{}", backend.grpc));
    let agent = env.start();
    let _ = env.status();
    env.write("application.log", &format!("{LINE}from Windows\n"));
    wait_for("the line", || backend.written().contains("Body: Str(from Windows)").then_some(()));
    let status = env.wait_for_status("measurements", |status| {
        let metrics = &status["collector"]["metrics"]["acknowledged_items"];
        status["host"]["cpu"].is_number() && metrics.as_u64() > Some(0)
    });
    let cpu = status["host"]["cpu"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&cpu), "{status}");

    let of = |query: &str| wait_for(query, || Some(backend.query(query)).filter(|found| !found.is_empty()));
    let limit = of("system_memory_limit_bytes")[0].1;
    let real = memory_of_this_machine();
    assert!((limit - real).abs() < real / 100.0, "{limit} is not {real}");
    for name in ["system_cpu_logical_count", "system_uptime_seconds", "system_filesystem_usage_bytes"] {
        assert!(of(name)[0].1 > 0.0, "{name}");
    }
    assert!((0.0..=1.0).contains(&of("system_cpu_utilization_ratio")[0].1));
    assert_eq!(of("system_memory_limit_bytes")[0].0["os_type"], "windows");
    assert!(env.ok(&["stop"]).contains("stopped"));
    assert!(agent.wait().success());
}

/// Returns the memory of this machine, in bytes.
fn memory_of_this_machine() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// Guarantees: a Windows program can rename, replace and delete a log file that the agent has open,
/// and no line is lost.
#[test]
fn log_files_can_be_renamed_and_deleted_while_read() {
    let Some(wine) = Wine::start() else { return };
    let receiver = Receiver::start();
    let env = shared(&wine, &receiver.endpoint());
    let agent = env.start();
    let _ = env.status();
    let arrives = |body: &str| {
        wait_for(body, || receiver.lines().iter().any(|line| line.body == body).then_some(()));
    };
    let windows = |file: &str| format!("Z:{}", env.log(file).display()).replace('/', "\\");
    env.write("application.log", &format!("{LINE}first\n"));
    arrives("first");
    // The file is still open: it was read less than 5 s ago.
    let _ = wine.ok("cmd", &["/c", "ren", &windows("application.log"), "application.log.1"]);
    env.write("application.log.1", &format!("{LINE}after the renaming\n"));
    env.write("application.log", &format!("{LINE}in the new file\n"));
    arrives("after the renaming");
    arrives("in the new file");
    let _ = wine.ok("cmd", &["/c", "del", &windows("application.log.1")]);
    let _ = wine.ok("cmd", &["/c", "del", &windows("application.log")]);
    // Its name is free once the agent has closed it.
    wait_for("the deletion", || (!env.log("application.log").exists()).then_some(()));
    env.write("application.log", &format!("{LINE}after the deletion\n"));
    arrives("after the deletion");
    let bodies: Vec<_> = receiver.lines().into_iter().map(|line| line.body).collect();
    assert_eq!(bodies.len(), 4, "once each: {bodies:?}");
    assert!(env.ok(&["stop"]).contains("stopped"));
    assert!(agent.wait().success());
}

/// Guarantees: when Windows asks the agent to shut down, by closing its window or by ending the
/// session, everything is on disk in time, although the collector is unreachable.
#[test]
fn every_way_to_shut_down_keeps_data() {
    let Some(wine) = Wine::start() else { return };
    for (way, program, words) in
        [("close", "taskkill", ["/PID", "ID"]), ("end of the session", "wineboot", ["--end-session", "--shutdown"])]
    {
        let env = shared(&wine, "http://127.0.0.1:1");
        let agent = env.start();
        let status = env.status();
        env.write("application.log", &format!("{LINE}kept\n"));
        let read = env.wait_for_status("the line", |status| status["queue"]["counters"]["read.logs"] == 1);
        let start = Instant::now();
        let id = status["process_id"].to_string();
        let _ = wine.run(program, &words.map(|word| if word == "ID" { &id } else { word }));
        let ended = agent.wait();
        let took = start.elapsed();
        let said = env.agent_log();
        assert!(said.contains("stopped"), "{way}: {ended}: {said}");
        assert!(ended.success(), "{way}: {ended}");
        // Includes the start of the program that asks.
        assert!(took.as_secs() < 10, "{way}: {took:?}");
        let queue: Value = serde_json::from_str(&env.ok(&["queue", "--json"])).unwrap();
        // Events may have been added.
        let kept = |queue: &Value| queue["logs"]["items"].as_u64();
        assert!(kept(&read["queue"]) >= Some(1) && kept(&queue) >= kept(&read["queue"]), "{way}: {read} {queue}");
    }
}

/// Guarantees: the time that real programs are in front equals the script's, to one poll interval
/// for each interval, and so does idle time.
#[test]
fn focus_and_idle_time_of_real_programs_match_script() {
    let Some(wine) = Wine::start() else { return };
    let mut env = TestEnv::on(&wine);
    env.set("collector.endpoint=http://127.0.0.1:1");
    env.set(r#"focus.apps=[{"app":"notes","process":"notepad"},{"app":"mines","process":"winemine"}]"#);
    env.set("focus.idle_after=3s");
    env.set("focus.poll_interval=1s");
    let mut programs = ["notepad", "winemine"].map(|name| wine.launcher().command(Path::new(name)).spawn().unwrap());
    let mut user = User::at(wine.desktop());
    let (notes, mines) = (user.find("notepad.exe"), user.find("winemine.exe"));
    let agent = env.start();
    wait_for("the first observation", || {
        // A program that starts slowly takes the focus again.
        let _ = user.switch_to(mines);
        (env.status()["focus"]["app"] == "mines").then_some(())
    });

    let (second, mut script) = (Duration::from_secs(1), Script::default());
    script.start("notes", user.switch_to(notes));
    user.type_for(second * 4);
    script.start("mines", user.switch_to(mines));
    user.type_for(second * 3);
    script.start("idle", user.press());
    thread::sleep(second * 6);
    script.start("mines", user.press());
    user.type_for(second * 2);
    let end = Instant::now();
    assert!(env.ok(&["stop"]).contains("stopped"));
    script.start("end", (end, Instant::now()));
    assert!(agent.wait().success());
    for program in &mut programs {
        let _ = program.kill();
        let _ = program.wait();
    }
    let usage: Value = serde_json::from_str(&env.ok(&["usage", "--json"])).unwrap();
    for (what, (least, most)) in script.bounds(Duration::from_secs(1)) {
        let seconds = if what == "idle" { &usage["states"]["idle"] } else { &usage["apps"][what]["focus_seconds"] };
        let seconds = seconds.as_f64().unwrap_or_default();
        println!("{what}: {seconds:.3} s, script {least:.3} to {most:.3} s");
        assert!((least..=most).contains(&seconds), "{what}: {seconds} s is not in {least} to {most} s: {usage}");
    }
}

/// Guarantees: the tray program runs without `WebView2`, shows its icon, and shuts down with
/// `stop`.
#[test]
fn tray_icon_appears_without_webview() {
    let Some(wine) = Wine::start() else { return };
    let receiver = Receiver::start();
    let env = shared(&wine, &receiver.endpoint());
    env.answer_first_question();
    let tray = wine.launcher().program.with_file_name("insights-tray.exe");
    let mut command = wine.launcher().command(Path::new("explorer"));
    command.arg("/desktop=shell,1024x700").arg(tray).arg("--data-dir").arg(env.data());
    command.args(["--set", &format!("collector.endpoint={}", receiver.endpoint()), "--set", "host.export_interval=1s"]);
    let mut explorer = command.spawn().unwrap();
    env.wait_for_status("delivery", |status| status["health"] == "delivering");
    let user = User::at(wine.desktop());
    wait_for("the icon", || (user.pixels(DELIVERING) > 20).then_some(()));
    wine.desktop().screenshot("wine-tray");
    assert!(env.ok(&["stop"]).contains("stopped"));
    let log = fs::read_to_string(env.data().join("log/insights-agent.log")).unwrap();
    assert!(log.contains("stopped"), "{log}");
    let _ = explorer.kill();
    let _ = explorer.wait();
}

/// Guarantees: commands reach the running agent through its pipe, and say so when no agent runs.
#[test]
fn commands_reach_agent_through_pipe() {
    let Some(wine) = Wine::start() else { return };
    let env = shared(&wine, "http://127.0.0.1:1");
    let alone = env.run(&["status"]);
    assert_eq!(alone.status.code(), Some(3), "{}", text(&alone.stderr));
    let agent = env.start();
    let _ = env.status();
    let again = env.run(&["run"]);
    assert!(text(&again.stderr).contains("already running"), "{}", text(&again.stderr));
    let page = env.ok(&["status"]);
    assert!(page.contains("127.0.0.1:1"), "{page}");
    let _ = env.ok(&["pause", "one-hour"]);
    assert_eq!(env.status()["health"], "paused");
    let _ = env.ok(&["stop"]);
    assert!(agent.wait().success());
}
