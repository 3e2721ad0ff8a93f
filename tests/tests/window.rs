//! Scenario: a user works with the window in its real webview, which `WebDriver` controls, while a
//! real agent runs.

#![cfg(target_os = "linux")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use test_support::desktop::{Desktop, screenshots};
use test_support::receiver::Receiver;
use test_support::test_env::{TestEnv, tray_program};
use test_support::{free_port, peer, wait_for};

/// Maximum wait for something on a page.
const PATIENCE: Duration = Duration::from_secs(20);
/// An element that does not move for this long stands still.
const STILL: Duration = Duration::from_millis(100);
/// Maximum number of checks whether an element stands still.
const MAX_CHECKS: u32 = 50;
const LINE: &str = "[2026-11-23T08:18:11.936] [INFO] default - login of jane@example.com with password=s3cret\n";

/// Charts as the overview draws them, of values that look like those of a working day.
const AN_HOUR: &str = "const done = arguments[arguments.length - 1];
    Promise.all([import('./chart.js'), import('./format.js'), import('./texts.js')]).then(([{ chart }, format, { t }]) => {
        const now = Date.now(), GiB = 2 ** 30;
        const wave = (at, low, high) => low + (high - low) * (0.5 + 0.3 * Math.sin(at / 7) + 0.2 * Math.sin(at / 2.3));
        const minutes = [...Array(60).keys()].map((at) => ({ unix_ms: now - (59 - at) * 60000 - 5000, at }));
        const series = (machine, connect) => [
            { name: t('overview.machine'), style: 'machine', value: machine },
            { name: t('overview.connect'), style: 'connect', value: connect }];
        document.querySelector('.charts').replaceChildren(
            chart({ title: t('overview.cpu'), minutes, now, top: 1, format: format.percent,
                series: series(({ at }) => wave(at, 0.12, 0.58), ({ at }) => wave(at + 1, 0.05, 0.31)) }),
            chart({ title: t('overview.memory'), minutes, now, top: 16 * GiB, format: format.bytes,
                series: series(({ at }) => wave(at / 3, 8.1, 9.7) * GiB, ({ at }) => wave(at / 4, 1.9, 2.6) * GiB) }));
    }).then(() => done(null), (error) => done(String(error)))";

/// The driver of the webview. The window closes with it.
struct Driver(Child, u16);

impl Driver {
    fn start(desktop: &Desktop, environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new("WebKitWebDriver");
        desktop.apply(&mut command);
        // Tauri's webview allows automation only with this variable.
        command.env("TAURI_WEBVIEW_AUTOMATION", "true").envs(environment.iter().copied());
        let driver = command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let driver = Self(driver.expect("WebKitWebDriver is needed"), port);
        wait_for("the driver", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        driver
    }

    /// Opens the window at a page.
    async fn open(&self, env: &TestEnv, page: &str) -> Window {
        let command = env.command_of(&tray_program(), &["window", "--page", page]);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let options = json!({ "binary": tray_program(), "args": arguments });
        let Value::Object(wanted) = json!({ "webkitgtk:browserOptions": options }) else { unreachable!() };
        let driver = format!("http://127.0.0.1:{}", self.1);
        Window(ClientBuilder::new(HttpConnector::new()).capabilities(wanted).connect(&driver).await.unwrap())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Window(Client);

impl Window {
    /// Clicks an element as soon as it stands still.
    async fn click(&self, css: &str) {
        let place = format!(
            "const found = document.querySelector('{css}')?.getBoundingClientRect(); return found && found.x + ' ' + found.y"
        );
        let mut before = Value::Null;
        for _ in 0..MAX_CHECKS {
            let now = self.run(&place).await;
            if now == before && !now.is_null() {
                break;
            }
            before = now;
            tokio::time::sleep(STILL).await;
        }
        let found = self.0.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}")).click().await.unwrap();
    }

    async fn run(&self, script: &str) -> Value {
        self.0.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true. An expression that throws is not true yet: the page may
    /// not be complete.
    async fn wait(&self, what: &str, expression: &str) {
        let script = format!("try {{ return Boolean({expression}) }} catch {{ return false }}");
        let look = async {
            while self.run(&script).await != json!(true) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, look).await.is_ok();
        assert!(in_time, "{what}: {}", self.run("return document.body.innerText").await);
    }

    async fn shows(&self, text: &str) {
        self.wait(text, &format!("document.body.innerText.includes({})", json!(text))).await;
    }

    async fn page(&self, name: &str) {
        self.run(&format!("location.hash = '#{name}'")).await;
        self.wait(name, "document.querySelector('h1')").await;
    }

    /// Returns the accessibility faults of the page that axe-core rates serious or critical.
    async fn accessibility_faults(&self, axe: &str) -> Value {
        self.run(axe).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                ({ violations }) => done(violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
                    .map(({ help, nodes }) => `${help}: ${nodes.map(({ html }) => html).slice(0, 3).join(' | ')}`)),
                (error) => done([String(error)]))";
        self.0.execute_async(script, Vec::new()).await.unwrap()
    }

    /// Draws the charts of an hour. The agent of a test does not run that long.
    async fn draw_an_hour(&self) {
        assert_eq!(self.0.execute_async(AN_HOUR, Vec::new()).await.unwrap(), Value::Null);
    }

    async fn close(self) {
        self.0.close().await.unwrap();
    }
}

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test)
}

/// Guarantees: on the welcome page nothing is selected, the user can look at what would be sent,
/// and the agent shares exactly what the user selects.
#[test]
fn welcome_page_shares_only_selected_logs() {
    let (desktop, mut env) = (Desktop::start(), TestEnv::new());
    env.set("collector.endpoint=http://127.0.0.1:1");
    env.write("application.log", LINE);
    let agent = env.start();
    let _ = env.status();
    let driver = Driver::start(&desktop, &[]);
    block_on(async {
        let window = driver.open(&env, "welcome").await;
        window.wait("nothing is selected", "document.querySelectorAll('input:checked').length === 0").await;
        window.wait("nothing to share", "document.getElementById('share').disabled").await;
        window.click("#see-platform").await;
        window.wait("the redacted text", "document.querySelectorAll('#preview-platform mark').length >= 2").await;
        let shown = window.run("return document.getElementById('preview-platform').innerText").await.to_string();
        assert!(!shown.contains("jane@example.com") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(env.status()["logs"]["shared"], json!([]), "looking is not consent");
        window.click("#tick-platform").await;
        window.click("#share").await;
        window.shows("Last delivery").await;
        window.close().await;
    });
    let status = env.status();
    assert_eq!((&status["logs"]["shared"], &status["consent"]["asked"]), (&json!(["platform"]), &json!(true)));
    assert!(agent.stop());
}

/// Guarantees: sharing, its withdrawal, the pause and the deletion of the history take effect in
/// the agent. The pages show the redaction of an example and of sent data.
#[test]
fn window_actions_take_effect_in_agent() {
    let (desktop, receiver, mut env) = (Desktop::start(), Receiver::start(), TestEnv::new());
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    env.write("application.log", LINE);
    let agent = env.start();
    let _ = env.status();
    let driver = Driver::start(&desktop, &[]);
    block_on(async {
        let window = driver.open(&env, "logs").await;
        window.wait("the rules", "document.querySelectorAll('#rules mark').length > 3").await;
        window.wait("the example", "document.querySelectorAll('#try-result mark').length === 2").await;
        window.click("#share-platform").await;
        window.wait("it is on", "document.querySelector('#share-platform[aria-checked=true]')").await;
        assert_eq!(env.status()["logs"]["shared"], json!(["platform"]));
        env.write("application.log", LINE);
        wait_for("the line", || (!receiver.lines().is_empty()).then_some(()));
        window.page("my-data").await;
        window.wait("a batch with marks", "document.querySelector('#sent-logs mark')").await;
        window.shows("by you").await;
        window.page("logs").await;
        window.click("#share-platform").await;
        window.shows("No longer shared.").await;
        assert_eq!(env.status()["logs"]["shared"], json!([]));

        window.page("overview").await;
        window.click("#pause-hour").await;
        window.shows("Paused until").await;
        assert_eq!(env.status()["health"], "paused");
        window.page("my-data").await;
        window.wait("the batches", "document.querySelector('#batches details')").await;
        window.click("#delete-history").await;
        window.shows("Deleted.").await;
        window
            .wait("no batches", "document.querySelector('#batches') && !document.querySelector('#batches details')")
            .await;
        window.page("overview").await;
        window.click("#pause-resume").await;
        window.wait("no pause", "!document.getElementById('pause-hour').hidden").await;
        window.close().await;
    });
    assert!(agent.stop());
}

/// Guarantees: the connection test reports faults and success. Without an agent the window says so,
/// and continues by itself when an agent runs again.
#[test]
fn connection_page_follows_collector_and_agent() {
    let (desktop, receiver, mut env) = (Desktop::start(), Receiver::start(), TestEnv::new());
    let driver = Driver::start(&desktop, &[]);
    let living = format!("collector.endpoint={}", receiver.endpoint());
    env.set("collector.endpoint=http://127.0.0.1:1");
    let agent = env.start();
    let _ = env.status();
    block_on(async {
        let window = driver.open(&env, "connection").await;
        window.click("#test").await;
        window.wait("three faults", "document.querySelectorAll('#answers .failed').length === 3").await;
        window.shows("No program answers at 127.0.0.1:1").await;
        agent.kill();
        window.shows("Insights Agent is not running").await;
        env.set(living);
        let agent = env.start();
        window.wait("no banner", "document.getElementById('banner').innerText === ''").await;
        window.click("#test").await;
        window.wait("two good answers", "document.querySelectorAll('#answers .ok').length === 2").await;
        window.shows("does not accept traces").await;
        window
            .wait("its settings", &format!("document.body.innerText.split({}).length > 2", json!(receiver.endpoint())))
            .await;
        window.close().await;
        assert!(agent.stop());
    });
}

/// Guarantees: every page, in light and dark, at 100 and 200 %, fits its width and has no serious
/// accessibility fault. The overview shows the apps of the history. Pictures for people are in
/// `target/screenshots`.
#[test]
fn pages_fit_and_are_accessible() {
    let (desktop, receiver, mut env) = (Desktop::start(), Receiver::start(), TestEnv::new());
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    env.write("application.log", LINE);
    write_history(&env);
    let agent = env.start();
    let _ = env.status();
    let axe = peer("AXE_CORE").map(|file| std::fs::read_to_string(file).unwrap());
    for (name, environment) in [
        ("light", vec![]),
        ("dark", vec![("GTK_THEME", "Adwaita:dark")]),
        ("light-200", vec![("GDK_SCALE", "2")]),
        ("dark-200", vec![("GTK_THEME", "Adwaita:dark"), ("GDK_SCALE", "2")]),
    ] {
        let driver = Driver::start(&desktop, &environment);
        block_on(async {
            let window = driver.open(&env, "welcome").await;
            for page in ["welcome", "overview", "my-data", "logs", "connection", "help"] {
                window.page(page).await;
                window.wait("the page", "document.querySelectorAll('#content > *').length > 1").await;
                let drawn = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))";
                window.run(drawn).await;
                let wide = "[...document.querySelectorAll('main, main *:not(.hidden-visually, .hidden-visually *)')]\
                    .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')\
                    .map((e) => e.outerHTML.slice(0, 80))";
                assert_eq!(window.run(&format!("return {wide}")).await, json!([]), "{name}, {page}");
                if page == "overview" {
                    window.wait("the day's apps", "document.querySelectorAll('#today tbody tr').length === 4").await;
                    window.shows("3 hr 5 min active").await;
                    window.wait("the charts", "document.querySelector('.charts').children.length > 0").await;
                    window.draw_an_hour().await;
                }
                if let Some(axe) = &axe {
                    assert_eq!(window.accessibility_faults(axe).await, json!([]), "{name}, {page}");
                }
                let dark = window.run("return matchMedia('(prefers-color-scheme: dark)').matches").await;
                assert_eq!(dark, json!(name.starts_with("dark")), "{name}");
                std::fs::create_dir_all(screenshots()).unwrap();
                let file = screenshots().join(format!("window-{page}-{name}.png"));
                std::fs::write(file, window.0.screenshot().await.unwrap()).unwrap();
                if page == "overview" {
                    window.run("document.getElementById('today').parentElement.scrollIntoView()").await;
                    let file = screenshots().join(format!("window-today-{name}.png"));
                    std::fs::write(file, window.0.screenshot().await.unwrap()).unwrap();
                }
            }
            window.close().await;
        });
    }
    assert!(agent.stop());
}

/// Writes a history of today in the agent's format.
fn write_history(env: &TestEnv) {
    let today = Command::new("date").arg("+%F").output().unwrap().stdout;
    let app = |seconds, switches, starts| json!({ "focus_seconds": seconds, "switches": switches, "starts": starts });
    let apps = json!({
        "client-list": app(5400.5, 31, 2), "blotter": app(2700.0, 44, 1), "other": app(2500.0, 40, 0), "platform": app(500.0, 9, 0)
    });
    let day = json!({ "states": { "active": 11_100.5, "idle": 1200.0, "locked": 2400.0 }, "apps": apps });
    let usage = json!({ "days": { String::from_utf8_lossy(&today).trim(): day } });
    std::fs::create_dir_all(env.data()).unwrap();
    std::fs::write(env.data().join("usage.json"), usage.to_string()).unwrap();
}

/// Guarantees: what the organisation has set is shown as such and cannot be changed, neither in the
/// window nor with commands.
///
/// Settings: `policy.share_application_logs`, `policy.autostart`.
#[test]
fn policy_settings_cannot_be_changed_in_window() {
    let (desktop, receiver, mut env) = (Desktop::start(), Receiver::start(), TestEnv::new());
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    for policy in ["share_platform_logs=true", "share_application_logs=false", "allow_pause=false", "autostart=false"] {
        env.set(format!("policy.{policy}"));
    }
    env.write("application.log", LINE);
    let agent = env.start();
    let _ = env.status();
    let driver = Driver::start(&desktop, &[]);
    block_on(async {
        let window = driver.open(&env, "logs").await;
        window.shows("Set by your organisation.").await;
        window.wait("it is on", "document.querySelector('#share-platform[aria-checked=true]:disabled')").await;
        window.wait("it is off", "document.querySelector('#share-applications[aria-checked=false]:disabled')").await;
        std::fs::create_dir_all(screenshots()).unwrap();
        std::fs::write(screenshots().join("window-logs-policy.png"), window.0.screenshot().await.unwrap()).unwrap();
        window.page("overview").await;
        window.shows("has turned off pausing").await;
        window.wait("no pause", "document.querySelector('#pause-hour:disabled')").await;
        window.page("help").await;
        window.wait("no switch", "document.querySelector('#autostart[aria-checked=false]:disabled')").await;
        window.page("my-data").await;
        window.shows("by your organisation").await;
        window.page("welcome").await;
        window.shows("Your organisation has turned this on.").await;
        window.wait("no choice", "document.querySelectorAll('input:disabled').length === 2").await;
        window.close().await;
    });
    for (words, why) in [
        (&["logs", "share", "off"][..], "Your organisation decides whether platform logs are shared."),
        (&["pause", "one-hour"], "Your organisation has turned off pausing."),
    ] {
        let refused = env.run(words);
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(why), "{refused:?}");
    }
    assert_eq!(env.status()["logs"]["shared"], json!(["platform"]));
    assert!(agent.stop());
    assert!(!env.run(&["logs", "share", "on"]).status.success(), "and not while no agent runs");
}

/// Guarantees: the help page saves a support bundle without secrets and personal data, and switches
/// autostart.
#[test]
fn help_page_saves_bundle_and_switches_autostart() {
    let (desktop, mut env) = (Desktop::start(), TestEnv::new());
    env.set("collector.endpoint=http://127.0.0.1:1");
    env.set("collector.headers.authorization=Bearer hunter2");
    env.write("application.log", LINE);
    let agent = env.start();
    let _ = env.status();
    let driver = Driver::start(&desktop, &[]);
    let bundle = block_on(async {
        let window = driver.open(&env, "help").await;
        // `cargo xtask licences` writes the list; a plain build has an empty one, and says so.
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../ui/licences.js");
        let list = std::fs::read_to_string(file).unwrap().lines().filter(|line| line.starts_with("  [")).count();
        if list == 0 {
            window.shows("This is a development build.").await;
        } else {
            let rows = format!("document.querySelectorAll('#licences tbody tr').length === {list}");
            window.wait("every component", &rows).await;
        }
        window.wait("the switch", "document.querySelector('#autostart[aria-checked=false]:enabled')").await;
        window.click("#autostart").await;
        window.wait("it is on", "document.querySelector('#autostart[aria-checked=true]')").await;
        let entries = std::fs::read_dir(desktop.home().join(".config/autostart")).unwrap().flatten();
        let entry = entries.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect::<String>();
        assert!(entry.contains("insights-tray"), "{entry}");
        window.click("#autostart").await;
        window.wait("it is off", "document.querySelector('#autostart[aria-checked=false]')").await;
        window.click("#preview-bundle").await;
        window.wait("its pieces", "document.querySelectorAll('#bundle-files details').length >= 7").await;
        window.run("document.querySelector('#bundle-files details').open = true").await;
        window.shows("Collector").await;
        std::fs::create_dir_all(screenshots()).unwrap();
        std::fs::write(screenshots().join("window-help-bundle.png"), window.0.screenshot().await.unwrap()).unwrap();
        window.click("#save-bundle").await;
        window.shows("Saved as ").await;
        let said = window.run("return document.getElementById('saved').innerText").await;
        window.close().await;
        said.as_str().unwrap().trim_start_matches("Saved as ").to_owned()
    });
    let unpacked =
        Command::new("python3").args(["-m", "zipfile", "-e", &bundle]).arg(env.folder().join("bundle")).status();
    assert!(unpacked.unwrap().success(), "{bundle}");
    let read = |name: &str| std::fs::read_to_string(env.folder().join("bundle").join(name)).unwrap();
    assert!(read("status.txt").contains("127.0.0.1:1") && read("settings.txt").contains("collector.endpoint"));
    assert!(read("doctor.txt").contains("FAIL  collector"), "{}", read("doctor.txt"));
    assert!(read("log-folders.txt").contains("application.log") && read("log/insights-agent.log").contains("started"));
    let all = Command::new("grep").args(["-r", "-E", "hunter2|s3cret|jane@"]).arg(env.folder().join("bundle")).output();
    assert_eq!(String::from_utf8_lossy(&all.unwrap().stdout), "", "secrets or personal data");
    assert!(agent.stop());
    let alone = env.folder().join("alone.zip");
    assert!(env.ok(&["bundle", &alone.display().to_string()]).contains("alone.zip") && alone.exists());
}
