//! The window in its real webview, driven as a user drives it, beside a real agent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use insights_agent_tests::desktop::{Desktop, screenshots};
use insights_agent_tests::program::{Desk, tray_program};
use insights_agent_tests::receiver::Receiver;
use insights_agent_tests::{free_port, wait_for};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
const LINE: &str = "[2026-11-23T08:18:11.936] [INFO] default - login of jane@example.com with password=s3cret\n";

/// The driver of the webview. It ends the window when it ends.
struct Driver(Child, u16);

impl Driver {
    fn start(desktop: &Desktop, environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new("WebKitWebDriver");
        desktop.apply(&mut command);
        // Without the variable Tauri's webview does not let itself be driven.
        command.env("TAURI_WEBVIEW_AUTOMATION", "true").envs(environment.iter().copied());
        let driver = command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let driver = Self(driver.expect("WebKitWebDriver is needed"), port);
        wait_for("the driver", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        driver
    }

    /// Opens the window of a desk at a page.
    async fn open(&self, desk: &Desk, page: &str) -> Window {
        let command = desk.command_of(&tray_program(), &["window", "--page", page]);
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
    async fn click(&self, css: &str) {
        let found = self.0.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}")).click().await.unwrap();
    }

    async fn run(&self, script: &str) -> Value {
        self.0.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true. One that throws is not yet true: its page may still be drawn.
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

    async fn close(self) {
        self.0.close().await.unwrap();
    }
}

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test)
}

/// The first question: nothing is ticked, what would be sent can be seen before, the answer is what the agent does.
#[test]
fn the_first_question_is_asked_honestly() {
    let (desktop, mut desk) = (Desktop::start(), Desk::new());
    desk.set("collector.endpoint=http://127.0.0.1:1");
    desk.write("application.log", LINE);
    let agent = desk.start();
    let _ = desk.status();
    let driver = Driver::start(&desktop, &[]);
    block_on(async {
        let window = driver.open(&desk, "welcome").await;
        window.wait("nothing is ticked", "document.querySelectorAll('input:checked').length === 0").await;
        window.wait("nothing to share", "document.getElementById('share').disabled").await;
        window.click("#see-platform").await;
        window.wait("what is hidden", "document.querySelectorAll('#preview-platform mark').length >= 2").await;
        let shown = window.run("return document.getElementById('preview-platform').innerText").await.to_string();
        assert!(!shown.contains("jane@example.com") && !shown.contains("s3cret"), "{shown}");
        assert_eq!(desk.status()["logs"]["shared"], json!([]), "to look is not to agree");
        window.click("#tick-platform").await;
        window.click("#share").await;
        window.shows("How it is").await;
        window.close().await;
    });
    let status = desk.status();
    assert_eq!((&status["logs"]["shared"], &status["consent"]["asked"]), (&json!(["platform"]), &json!(true)));
    assert!(agent.stop());
}

/// Sharing, withdrawal, pause, the try-out of the rules, what was sent, its deletion: each does it in the agent.
#[test]
fn what_the_user_does_is_done() {
    let (desktop, receiver, mut desk) = (Desktop::start(), Receiver::start(), Desk::new());
    desk.set(format!("collector.endpoint={}", receiver.endpoint()));
    desk.write("application.log", LINE);
    let agent = desk.start();
    let _ = desk.status();
    let driver = Driver::start(&desktop, &[]);
    block_on(async {
        let window = driver.open(&desk, "logs").await;
        window.wait("the rules", "document.querySelectorAll('#rules mark').length > 3").await;
        window.wait("the example", "document.querySelectorAll('#try-result mark').length === 2").await;
        window.click("#share-platform").await;
        window.wait("it is on", "document.querySelector('#share-platform[aria-checked=true]')").await;
        assert_eq!(desk.status()["logs"]["shared"], json!(["platform"]));
        desk.write("application.log", LINE);
        wait_for("the line", || (!receiver.lines().is_empty()).then_some(()));
        window.page("my-data").await;
        window.wait("a batch with marks", "document.querySelector('#sent-logs mark')").await;
        window.shows("by you").await;
        window.page("logs").await;
        window.click("#share-platform").await;
        window.shows("Not shared any more.").await;
        assert_eq!(desk.status()["logs"]["shared"], json!([]));

        window.page("overview").await;
        window.click("#pause-hour").await;
        window.shows("Paused until").await;
        assert_eq!(desk.status()["health"], "paused");
        window.page("my-data").await;
        // Until they are there, what lies below moves.
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

/// The test of the connection says what is wrong, and then that all is well; without an agent the window says so, and goes
/// on by itself when there is one again.
#[test]
fn collectors_and_agents_come_and_go() {
    let (desktop, receiver, mut desk) = (Desktop::start(), Receiver::start(), Desk::new());
    let driver = Driver::start(&desktop, &[]);
    let living = format!("collector.endpoint={}", receiver.endpoint());
    desk.set("collector.endpoint=http://127.0.0.1:1");
    let agent = desk.start();
    let _ = desk.status();
    block_on(async {
        let window = driver.open(&desk, "connection").await;
        window.click("#test").await;
        window.wait("three faults", "document.querySelectorAll('#answers .failed').length === 3").await;
        window.shows("No program answers at 127.0.0.1:1").await;
        agent.kill();
        window.shows("The agent is not running.").await;
        desk.set(living);
        let agent = desk.start();
        window.wait("no banner", "document.getElementById('banner').innerText === ''").await;
        window.click("#test").await;
        window.wait("two good answers", "document.querySelectorAll('#answers .ok').length === 2").await;
        window.shows("takes no traces").await;
        window
            .wait("its settings", &format!("document.body.innerText.split({}).length > 2", json!(receiver.endpoint())))
            .await;
        window.close().await;
        assert!(agent.stop());
    });
}

/// Every page, in light and dark, at 100 and 200 %: nothing sticks out sideways, nothing failed on the way. The pictures
/// are for people: `target/screenshots`.
#[test]
fn pages_are_drawn() {
    let (desktop, receiver, mut desk) = (Desktop::start(), Receiver::start(), Desk::new());
    desk.set(format!("collector.endpoint={}", receiver.endpoint()));
    desk.write("application.log", LINE);
    let agent = desk.start();
    let _ = desk.status();
    for (name, environment) in [
        ("light", vec![]),
        ("dark", vec![("GTK_THEME", "Adwaita:dark")]),
        ("light-200", vec![("GDK_SCALE", "2")]),
        ("dark-200", vec![("GTK_THEME", "Adwaita:dark"), ("GDK_SCALE", "2")]),
    ] {
        let driver = Driver::start(&desktop, &environment);
        block_on(async {
            let window = driver.open(&desk, "welcome").await;
            for page in ["welcome", "overview", "my-data", "logs", "connection", "help"] {
                window.page(page).await;
                window.wait("the page", "document.querySelectorAll('#content > *').length > 1").await;
                let drawn = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))";
                window.run(drawn).await;
                let wide = "[...document.querySelectorAll('main, main *:not(.hidden-visually, .hidden-visually *)')]\
                    .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible')\
                    .map((e) => e.outerHTML.slice(0, 80))";
                assert_eq!(window.run(&format!("return {wide}")).await, json!([]), "{name}, {page}");
                let dark = window.run("return matchMedia('(prefers-color-scheme: dark)').matches").await;
                assert_eq!(dark, json!(name.starts_with("dark")), "{name}");
                std::fs::create_dir_all(screenshots()).unwrap();
                let file = screenshots().join(format!("window-{page}-{name}.png"));
                std::fs::write(file, window.0.screenshot().await.unwrap()).unwrap();
            }
            window.close().await;
        });
    }
    assert!(agent.stop());
}
