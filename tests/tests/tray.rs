//! Scenario: a user clicks the menu of the tray program on a real desktop, whose panel shows the
//! icon.

#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::desktop::{Desktop, TrayIcon};
use test_support::receiver::Receiver;
use test_support::test_env::{Running, TestEnv, text, tray_program};
use test_support::user::User;
use test_support::{output, wait_for};

/// Maximum duration of a shutdown: what a logoff allows, plus a margin for a busy machine.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Where the panel shows the first icon.
const ICON: (i16, i16) = (16, 16);

fn start(env: &TestEnv, desktop: &Desktop) -> Running {
    let mut command: Command = env.command_of(&tray_program(), &[]);
    env.answer_first_question();
    desktop.apply(&mut command);
    env.start_as(command)
}

/// Guarantees: every menu entry does what it says, and agent, collector and icon show it.
#[test]
fn menu_clicks_change_agent_and_icon() {
    let (desktop, receiver, mut env) = (Desktop::start(), Receiver::start(), TestEnv::new());
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let program = start(&env, &desktop);
    let icon = TrayIcon::wait(&desktop);
    let _ = icon.line("Connected.");
    let _ = icon.line("Last delivery");
    let delivering = icon.picture();
    desktop.screenshot("tray-delivering");
    User::at(&desktop).with_menu_at(ICON.0, ICON.1, || desktop.screenshot("tray-menu"));

    assert!(!icon.line("Share platform logs").checked);
    icon.click("Share platform logs");
    // The panel may set the check mark itself, before the agent has acted.
    let shared = |kinds: Value| env.wait_for_status("the consent change", |status| status["logs"]["shared"] == kinds);
    let _ = shared(json!(["platform"]));
    wait_for("the check mark", || icon.line("Share platform logs").checked.then_some(()));
    assert!(!icon.line("Share application logs").checked);
    wait_for("the mark of the icon", || (icon.picture() != delivering).then_some(()));
    desktop.screenshot("tray-delivering-shared");
    env.write("application.log", "[2026-11-23T08:18:11.936] [INFO] default - shared\n");
    wait_for("the shared line", || receiver.lines().iter().any(|line| line.body == "shared").then_some(()));

    icon.click("Share platform logs");
    let _ = shared(json!([]));
    wait_for("no check mark", || (!icon.line("Share platform logs").checked).then_some(()));
    env.write("application.log", "[2026-11-23T08:18:12.936] [INFO] default - private\n");

    icon.click("Pause for 1 hour");
    let _ = icon.line("Paused until");
    assert_eq!(env.status()["health"], "paused");
    wait_for("no second pause", || (!icon.line("Pause for 1 hour").enabled).then_some(()));
    desktop.screenshot("tray-paused");
    icon.click("Resume");
    let _ = icon.line("Connected.");
    wait_for("nothing to resume", || (!icon.line("Resume").enabled).then_some(()));

    icon.click("Share platform logs");
    let _ = shared(json!(["platform"]));
    env.write("application.log", "[2026-11-23T08:18:13.936] [INFO] default - shared again\n");
    wait_for("the next line", || receiver.lines().iter().any(|line| line.body == "shared again").then_some(()));
    assert!(receiver.lines().iter().all(|line| line.body != "private"), "lines written while not shared are not sent");

    let started = Instant::now();
    icon.click("Quit");
    assert!(program.wait().success());
    assert!(started.elapsed() < SHUTDOWN_LIMIT, "it took {:?}", started.elapsed());
}

/// Guarantees: the menu shows an unreachable collector and the queued data. SIGTERM ends the
/// program with everything on disk.
#[test]
fn menu_shows_unreachable_collector() {
    let (desktop, mut env) = (Desktop::start(), TestEnv::new());
    env.set("collector.endpoint=http://127.0.0.1:1");
    let program = start(&env, &desktop);
    let icon = TrayIcon::wait(&desktop);
    let _ = icon.line("No program answers at 127.0.0.1:1");
    wait_for("a queue", || icon.menu().iter().any(|line| line.label.contains("waiting to be sent (")).then_some(()));
    desktop.screenshot("tray-buffering");
    let started = Instant::now();
    assert!(program.stop(), "it exits with success");
    assert!(started.elapsed() < SHUTDOWN_LIMIT, "it took {:?}", started.elapsed());
    assert!(env.ok(&["queue"]).lines().any(|line| line.starts_with("metrics") && !line.contains(" 0 ")));
}

/// Guarantees: the menu says that nothing was delivered yet, disables what the organisation has
/// set, and shows a wrong setting.
#[test]
fn menu_shows_starting_policy_and_wrong_setting() {
    let (desktop, mut env) = (Desktop::start(), TestEnv::new());
    // Accepts connections and never responds.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    env.set(format!("collector.endpoint=http://{}", mute.local_addr().unwrap()));
    env.set("policy.share_platform_logs=true");
    let program = start(&env, &desktop);
    let icon = TrayIcon::wait(&desktop);
    let _ = icon.line("Starting. Nothing delivered yet.");
    let set = icon.line("Share platform logs (set by your organisation)");
    assert!(set.checked && !set.enabled, "{set:?}");
    desktop.screenshot("tray-starting-policy");
    assert!(program.stop());

    let receiver = Receiver::start();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let mut command = env.command_of(&tray_program(), &[]);
    desktop.apply(&mut command);
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "soon");
    let program = env.start_as(command);
    let icon = TrayIcon::wait(&desktop);
    let _ = icon.line("A setting is wrong: ");
    desktop.screenshot("tray-attention");
    assert!(program.stop());
}

/// Guarantees: starting the program again shows the window of the running one, and only one window.
#[test]
fn second_start_shows_window_of_running_program() {
    let (desktop, mut env) = (Desktop::start(), TestEnv::new());
    env.set("collector.endpoint=http://127.0.0.1:1");
    let user = User::at(&desktop);
    let program = start(&env, &desktop);
    let _ = TrayIcon::wait(&desktop);
    let mut windows = 0;
    for words in [&[][..], &[], &["window"]] {
        let mut again = env.command_of(&tray_program(), words);
        desktop.apply(&mut again);
        assert!(output(&mut again).status.success(), "it exits immediately");
        windows = wait_for("the window", || Some(user.windows_named("Insights Agent")).filter(|count| *count > 0));
    }
    assert_eq!(windows, 1);
    assert!(program.stop());
    wait_for("the window to close", || (user.windows_named("Insights Agent") == 0).then_some(()));
}

/// Guarantees: without a display, the program says so and names the command to use instead.
#[test]
fn tray_program_names_alternative_without_display() {
    let env = TestEnv::new();
    let mut command = env.command_of(&tray_program(), &[]);
    let ended = output(command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY"));
    assert!(!ended.status.success());
    let said = text(&ended.stderr);
    assert!(said.contains("insights-agent run"), "{said}");
}
