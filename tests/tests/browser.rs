//! Scenario: web pages in headless Chromium send to the receiver of the built agent, from allowed
//! and other origins.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use test_support::peers::Backend;
use test_support::test_env::TestEnv;
use test_support::{free_port, wait_for};

/// Sends a span named `arguments[1]` to `arguments[0]`, and returns what the page can see of the
/// response.
const FETCH: &str = r#"
const [url, name, done] = arguments;
const span = { traceId: "60b65c7d441f766d13ac328f70397ba6", spanId: "a1733095f300ac7a", name,
               startTimeUnixNano: "1795422158727000000", endTimeUnixNano: "1795422158728000000" };
const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })
  .then(async (answer) => done(answer.status + " " + (await answer.text())), (error) => done(error.name));
"#;
/// Sends without a preflight request, in every way that browsers offer. The page cannot see the
/// response.
const WITHOUT_PREFLIGHT: &str = r#"
const [url, name, done] = arguments;
const span = { traceId: "60b65c7d441f766d13ac328f70397ba6", spanId: "a1733095f300ac7a", name };
const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
navigator.sendBeacon(url, body);
fetch(url, { method: "POST", mode: "no-cors", body }).then((answer) => done(answer.type), (error) => done(error.name));
"#;
/// Sends as pages do when the user leaves them.
const BEACON: &str = r#"
const [url, name, done] = arguments;
const span = { traceId: "60b65c7d441f766d13ac328f70397ba6", spanId: "a1733095f300ac7a", name };
const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
done(navigator.sendBeacon(url, new Blob([body], { type: "application/json" })));
"#;
/// Tries to read from the receiver.
const READ: &str = r#"
const [url, done] = arguments;
fetch(url).then(async (answer) => done(answer.status + " " + (await answer.text())), (error) => done(error.name));
"#;

/// Starts a web server with one empty page on 127.0.0.1; returns its port.
fn pages() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // One thread for each: browsers open connections before they have a request.
            std::thread::spawn(move || {
                let request = BufReader::new(stream.try_clone().unwrap());
                let _ = request.lines().map_while(Result::ok).find(String::is_empty);
                // The browser may have closed the connection.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<!doctype html>");
            });
        }
    });
    port
}

/// The driver of the browser. The browser exits with it.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a browser that resolves `evil.test` to this machine, as after DNS rebinding.
async fn browser() -> (Driver, Client) {
    let port = free_port();
    let mut command = Command::new("chromedriver");
    let driver = command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let driver = Driver(driver.expect("chromedriver is needed; cargo xtask test installs it"));
    wait_for("the driver", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    // Chromium has no sandbox as root.
    let arguments =
        ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP evil.test 127.0.0.1"];
    let Value::Object(wanted) = json!({ "goog:chromeOptions": { "args": arguments } }) else { unreachable!() };
    let address = format!("http://127.0.0.1:{port}");
    let client = ClientBuilder::new(HttpConnector::new()).capabilities(wanted).connect(&address).await.unwrap();
    client
        .update_timeouts(fantoccini::wd::TimeoutConfiguration::new(Some(Duration::from_secs(30)), None, None))
        .await
        .unwrap();
    (driver, client)
}

fn refused(env: &TestEnv) -> Value {
    env.status()["receiver"]["refused"].clone()
}

/// Guarantees: a page of an allowed origin can send, also while the user leaves it, and gets a
/// response. A page of any other origin is rejected in every way of sending and cannot read
/// anything, and the status names its origin. The same applies after DNS rebinding.
///
/// Settings: `receiver.allowed_origins`.
#[tokio::test]
async fn pages_send_only_when_origin_is_allowed() {
    let Some(backend) = Backend::start() else { return };
    let port = pages();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", backend.grpc));
    env.set(format!("receiver.allowed_origins=[\"http://localhost:{port}\"]"));
    let agent = env.start();
    let receiver = env.status()["receiver"]["http"].as_str().unwrap().to_owned();
    let traces = format!("{receiver}/v1/traces");
    let (driver, page) = browser().await;

    page.goto(&format!("http://localhost:{port}/")).await.unwrap();
    let sent = page.execute_async(FETCH, vec![json!(traces), json!("of an allowed page")]).await.unwrap();
    assert_eq!(sent, "200 {}");
    wait_for("the span", || backend.written().contains("of an allowed page").then_some(()));
    assert_eq!(page.execute_async(READ, vec![json!(traces)]).await.unwrap(), "405 OTLP over HTTP requires POST\n");
    assert_eq!(refused(&env), json!({ "method": 1 }));
    // A beacon includes credentials, so the browser sends a preflight request.
    let sent = page.execute_async(BEACON, vec![json!(traces), json!("as the page is left")]).await.unwrap();
    assert_eq!(sent, true);
    wait_for("the span", || backend.written().contains("as the page is left").then_some(()));

    let other = format!("http://127.0.0.1:{port}");
    page.goto(&other).await.unwrap();
    let sent = page.execute_async(FETCH, vec![json!(traces), json!("of another page")]).await.unwrap();
    assert_eq!(sent, "TypeError", "the page sees nothing");
    assert_eq!(page.execute_async(READ, vec![json!(receiver)]).await.unwrap(), "TypeError");
    let sent = page.execute_async(WITHOUT_PREFLIGHT, vec![json!(traces), json!("of another page")]).await.unwrap();
    assert_eq!(sent, "opaque");
    // The preflight requests of the fetch and of reading, the beacon, and the fetch without
    // preflight.
    wait_for("the rejections of the origin", || (refused(&env)["origin"] == 4).then_some(()));
    assert_eq!(env.status()["receiver"]["refused_origin"], other);

    page.goto(&format!("http://evil.test:{port}/")).await.unwrap();
    let rebound = traces.replace("127.0.0.1", "evil.test");
    for script in [FETCH, WITHOUT_PREFLIGHT] {
        let sent = page.execute_async(script, vec![json!(rebound), json!("of a rebound page")]).await.unwrap();
        assert_ne!(sent, "200 {}");
    }
    wait_for("the rejections of the host", || (refused(&env)["host"] == 3).then_some(()));
    page.close().await.unwrap();
    drop(driver);
    assert!(agent.stop());
    let written = backend.written();
    assert!(!written.contains("of another page") && !written.contains("of a rebound page"));
}
