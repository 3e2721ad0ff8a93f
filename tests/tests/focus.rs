//! Scenario: a script uses windows on a real desktop, with real input. The agent's durations are
//! compared with the script's clock, and with what a database answers.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::desktop::Desktop;
use test_support::logind::Logind;
use test_support::peers::Backend;
use test_support::platform::Platform;
use test_support::test_env::{Running, TestEnv};
use test_support::user::{Script, User};
use test_support::wait_for;

/// Maximum delay with which the agent notices a change.
const MAX_DELAY: Duration = Duration::from_millis(100);

/// Uncertainty of the start time of a process: two clocks, each truncated to seconds
/// (`proc_stat(5)`, `btime`; sysinfo).
const START_UNCERTAINTY: Duration = Duration::from_secs(2);

/// Returns an environment whose platform has a name that no other test uses, because agents see all
/// processes.
fn test_env(platform: &str) -> TestEnv {
    let mut env = TestEnv::new();
    env.set(format!("connect.process_names=[\"{platform}\"]"));
    env.set("focus.idle_after=3s");
    env.set(r#"focus.apps=[{"app":"orders","title":"^Orders"},{"app":"charts","title":"^Charts"},{"app":"first","title":"^First"}]"#);
    env.set("resource.attributes.department=trading");
    env.set("resource.user=name");
    env
}

fn start(env: &TestEnv, desktop: &Desktop) -> Running {
    let mut command = env.command(&["run"]);
    desktop.apply(&mut command);
    command.env_remove("XDG_SESSION_TYPE");
    env.start_as(command)
}

fn in_front(env: &TestEnv, app: &str) {
    env.wait_for_status(app, |status| status["focus"]["state"] == "active" && status["focus"]["app"] == app);
}

/// Guarantees: the focus time of each app, and idle and locked time, equal the script's within 0.1
/// s per interval; switches and starts are exact. An unknown app is `other`. No title is on disk or
/// on the wire. `PromQL` queries answer every question.
///
/// Settings: `focus.idle_after`, `focus.apps`, `processes.sample_interval`,
/// `connect.process_names`.
#[test]
fn focus_of_scripted_day_matches_script() {
    let Some(backend) = Backend::start() else { return };
    let (desktop, mut env) = (Desktop::start(), test_env("day-platform"));
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let platform = Platform::start(&env.folder().join("platform"), "day-platform");
    let mut user = User::at(&desktop);
    let first = user.open("First", platform.id());
    let orders = user.open("Orders", platform.id());
    let blotter = user.open("AAPL 100 @ 5", platform.native);
    let foreign = user.open("Salaries - secret plan", std::process::id());
    let _ = user.switch_to(first);
    let agent = start(&env, &desktop);
    in_front(&env, "first");

    let (second, mut script) = (Duration::from_secs(1), Script::default());
    script.start("orders", user.switch_to(orders));
    user.work(second * 2);
    // A title that matches no rule does not change the app.
    user.rename(orders, "IBM 100 @ 5");
    user.work(second);
    script.start("blotter", user.switch_to(blotter));
    user.work(second);
    script.start("other", user.switch_to(foreign));
    user.work(second);
    script.start("orders", user.switch_to(orders));
    user.work(second);
    script.start("idle", user.input());
    std::thread::sleep(second * 5);
    script.start("orders", user.input());
    user.work(second);
    script.start("locked", user.lock());
    std::thread::sleep(second * 2);
    script.start("orders", user.input());
    user.work(second);
    let charts = user.open("Charts", platform.id());
    script.start("charts", user.switch_to(charts));
    user.work(second);
    user.close(charts);
    script.start("orders", user.switch_to(orders));
    user.work(second);
    let end = Instant::now();
    assert!(agent.stop());
    script.start("end", (end, Instant::now()));

    let usage: Value = serde_json::from_str(&env.ok(&["usage", "--json"])).unwrap();
    for (what, (least, most)) in script.bounds(MAX_DELAY) {
        let seconds = match what {
            "idle" | "locked" => &usage["states"][what],
            app => &usage["apps"][app]["focus_seconds"],
        };
        let seconds = seconds.as_f64().unwrap_or_default();
        println!("{what}: {seconds:.3} s, script {least:.3} to {most:.3} s");
        assert!((least..=most).contains(&seconds), "{what}: {seconds} s is not in {least} to {most} s: {usage}");
    }
    let count = |app: &str, what: &str| usage["apps"][app][what].as_u64().unwrap_or_default();
    let switches = ["orders", "blotter", "other", "charts"].map(|app| count(app, "switches"));
    assert_eq!(switches, [3, 1, 1, 1], "{usage}");
    assert_eq!((count("charts", "starts"), count("orders", "starts")), (1, 0), "{usage}");

    let session = std::fs::read_to_string(env.data().join("session.json")).unwrap();
    let session = serde_json::from_str::<Value>(&session).unwrap()["id"].as_str().unwrap().to_owned();
    // The last export may still be in flight, so this waits for the right answer.
    let answer = |promql: &str, expected: f64| {
        let query = promql.replace('$', &format!("session_id=\"{session}\""));
        wait_for(&format!("{promql} = {expected}"), || {
            let found = backend.query(&query);
            (found.len() == 1 && (found[0].1 - expected).abs() < 0.001).then(|| found[0].0.clone())
        })
    };
    // Which apps are used most, by focus, in which department?
    let in_orders = usage["apps"]["orders"]["focus_seconds"].as_f64().unwrap();
    let most = "topk(1, sum by (ioconnect_app_name, department) (ioconnect_app_focus_time_seconds_total{$}))";
    let labels = answer(most, in_orders);
    assert_eq!((&labels["ioconnect_app_name"], &labels["department"]), (&json!("orders"), &json!("trading")));
    // By starts?
    let starts = answer("sum by (ioconnect_app_name) (ioconnect_app_starts_total{$}) > 0", 1.0);
    assert_eq!(starts["ioconnect_app_name"], "charts");
    // How often do users switch?
    let _ = answer("sum(ioconnect_app_switches_total{$})", 6.0);
    // How long is a session, for whom?
    let length: f64 = usage["states"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
    let by_user = "sum by (user_name, session_id) (ioconnect_user_session_time_seconds_total{$})";
    assert!(answer(by_user, length)["user_name"].is_string());
    // How long does an app run, and how often is it in front?
    let _ = answer(r#"sum(ioconnect_app_session_duration_seconds_count{ioconnect_app_name="charts", $})"#, 1.0);
    let _ = answer(r#"sum(ioconnect_app_focus_duration_seconds_count{ioconnect_app_name="orders", $})"#, 5.0);
    // Active time is the focus of all apps.
    let active = usage["states"]["active"].as_f64().unwrap();
    let _ =
        answer(r#"sum(ioconnect_user_session_time_seconds_total{ioconnect_user_session_state="active", $})"#, active);
    let _ = answer("sum(ioconnect_app_focus_time_seconds_total{$})", active);

    let written = backend.written();
    for secret in ["Salaries", "secret plan", "AAPL", "IBM 100"] {
        assert!(!written.contains(secret), "a title was sent");
        let on_disk =
            std::process::Command::new("grep").args(["-r", "-l", "-a", secret]).arg(env.data()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&on_disk.stdout), "", "a title is on disk");
    }
    assert!(written.contains("session.start"), "the event of the session");
}

/// Guarantees: when logind reports that the session is locked or not shown on its seat, the state
/// follows immediately, and so it does when the session returns.
#[test]
fn session_state_follows_logind_lock() {
    let (desktop, env) = (Desktop::start(), test_env("locked-platform"));
    let logind = Logind::start(&desktop);
    let mut command = env.command(&["run"]);
    desktop.apply(&mut command);
    command.env_remove("XDG_SESSION_TYPE").env_remove("XDG_SESSION_ID").env("DBUS_SYSTEM_BUS_ADDRESS", desktop.bus());
    let agent = env.start_as(command);
    let wait = |state: &str| env.wait_for_status(state, |status| status["focus"]["state"] == state);
    wait("active");
    logind.lock(true);
    wait("locked");
    logind.show(false);
    wait("disconnected");
    logind.show(true);
    wait("locked");
    logind.lock(false);
    // Idle if there was no input for `focus.idle_after`.
    env.wait_for_status("unlocked", |status| ["active", "idle"].iter().any(|is| status["focus"]["state"] == *is));
    logind.lock(true);
    wait("locked");
    drop(logind);
    assert!(agent.stop());
    let usage: Value = serde_json::from_str(&env.ok(&["usage", "--json"])).unwrap();
    assert!(usage["states"]["locked"].as_f64() > Some(0.0) && usage["states"]["disconnected"].as_f64() > Some(0.0));
}

/// Guarantees: an app in the foreground that responds is never counted as hung. An app that stops
/// responding is counted once, under its name.
///
/// Settings: `focus.poll_interval`.
#[test]
fn app_that_stops_responding_is_counted_once() {
    let Some(backend) = Backend::start() else { return };
    let (desktop, mut env) = (Desktop::start(), test_env("hung-platform"));
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    env.set("focus.poll_interval=1s");
    let platform = Platform::start(&env.folder().join("platform"), "hung-platform");
    let mut user = User::at(&desktop);
    let (orders, charts) = (user.open("Orders", platform.id()), user.open("Charts", platform.id()));
    user.promise_answers(orders);
    user.promise_answers(charts);
    let _ = user.switch_to(orders);
    let agent = start(&env, &desktop);
    // The second ping comes after the first response was accepted.
    let mut pings = 0;
    wait_for("two pings", || {
        pings += user.answer();
        (pings >= 2).then_some(())
    });
    let _ = user.switch_to(charts);
    let hung = wait_for("the hang", || {
        let found = backend.query("ioconnect_app_hangs_total{ioconnect_app_name=~\"orders|charts\"} > 0");
        (!found.is_empty()).then_some(found)
    });
    assert!(agent.stop());
    assert_eq!(hung.len(), 1, "{hung:?}");
    assert_eq!(hung[0].0["ioconnect_app_name"], "charts");
    assert!((hung[0].1 - 1.0).abs() < 0.001, "{hung:?}");
}

/// Guarantees: without a display, the status says so, and all time is unknown. The history can be
/// deleted.
#[test]
fn focus_state_is_unknown_without_display() {
    let env = test_env("no-platform");
    let mut command = env.command(&["run"]);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("XDG_SESSION_TYPE");
    let agent = env.start_as(command);
    let status = env.wait_for_status("a first observation", |status| !status["focus"]["state"].is_null());
    assert_eq!(
        (&status["focus"]["state"], &status["focus"]["problem"]),
        (&Value::from("unknown"), &Value::from("there is no display"))
    );
    assert!(agent.stop());
    let usage: Value = serde_json::from_str(&env.ok(&["usage", "--json"])).unwrap();
    assert!(usage["states"]["unknown"].as_f64().unwrap() > 0.0);
    assert_eq!(usage["states"].as_object().unwrap().len(), 1, "{usage}");
    let _ = env.ok(&["usage", "--delete"]);
    assert!(env.ok(&["usage", "--week"]).contains("No usage was recorded"));
}

/// Guarantees: a run of the platform is one trace. Its root span is as long as the run, with app
/// sessions and focus below it. Start, first window, duration and crash dump are measured.
#[test]
fn platform_run_is_exported_as_one_trace() {
    let Some(backend) = Backend::start() else { return };
    let (desktop, mut env) = (Desktop::start(), test_env("run-platform"));
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    let mut user = User::at(&desktop);
    let foreign = user.open("Something", std::process::id());
    let _ = user.switch_to(foreign);
    let agent = start(&env, &desktop);
    in_front(&env, "other");

    let started = Instant::now();
    let platform = Platform::start(&env.folder().join("platform"), "run-platform");
    let runs = Instant::now();
    let orders = user.open("Orders", platform.id());
    let _ = user.switch_to(orders);
    in_front(&env, "orders");
    user.work(Duration::from_secs(2));
    let crashes = env.folder().join("UserData/DEMO-INTEROP.IO/crashes/reports");
    std::fs::create_dir_all(&crashes).unwrap();
    std::fs::write(crashes.join("1.dmp"), "").unwrap();
    user.close(orders);
    let least = runs.elapsed();
    drop(platform);
    // A new window makes the agent look at the processes.
    let _ = user.open("Something else", std::process::id());
    env.wait_for_status("the end of the app", |status| status["focus"]["app"] != "orders");
    assert!(agent.stop());
    let most = started.elapsed() + START_UNCERTAINTY;

    let traces = wait_for("the trace", || {
        let written = backend.written();
        let at = written.find("ScopeSpans")?;
        written[at..].contains("platform session").then(|| written[at..].to_owned())
    });
    let spans: Vec<&str> = traces.split("Span #").skip(1).collect();
    let field = |span: &str, name: &str| {
        let line = span.lines().find(|line| line.trim().starts_with(name)).unwrap_or_default();
        line.split_once(": ").map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let named = |name: &str| {
        let found = spans.iter().find(|span| field(span, "Name") == name);
        *found.unwrap_or_else(|| panic!("no span `{name}` in {traces}"))
    };
    let root = named("platform session");
    for name in ["app session", "focus"] {
        let span = named(name);
        assert_eq!(field(span, "Parent ID"), field(root, "ID"), "{name}: {traces}");
        assert_eq!(field(span, "Trace ID"), field(root, "Trace ID"), "{name}");
        assert!(span.contains("ioconnect.app.name: Str(orders)"), "{span}");
    }
    let session = std::fs::read_to_string(env.data().join("session.json")).unwrap();
    let session = serde_json::from_str::<Value>(&session).unwrap()["id"].as_str().unwrap().to_owned();
    let value = |name: &str| {
        let query = format!("{name}{{session_id=\"{session}\"}}");
        wait_for(name, || backend.query(&query).first().map(|(_, value)| *value).filter(|value| *value > 0.0))
    };
    for once in ["starts_total", "crashes_total", "start_duration_seconds_count"] {
        assert!((value(&format!("ioconnect_platform_{once}")) - 1.0).abs() < 0.001, "{once}");
    }
    let length = value("ioconnect_platform_session_duration_seconds_sum");
    assert!((least.as_secs_f64()..=most.as_secs_f64()).contains(&length), "{least:?} {length} {most:?}");
}
