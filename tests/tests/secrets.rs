//! Scenario: settings contain secrets, or name the places where secrets are stored.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;
use test_support::desktop::Desktop;
use test_support::test_env::TestEnv;
use test_support::{output, wait_for};

/// A collector, proxy and authorization server in one. It rejects every request and repeats its
/// headers in the response.
struct Echo {
    port: u16,
    requests: Arc<Mutex<String>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, requests) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(String::new())));
        let all = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut head) = (stream.unwrap(), [0; 8192]);
                let read = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                all.lock().unwrap().push_str(&head);
                let said: String =
                    head.lines().filter(|line| line.contains(": ")).fold(String::new(), |said, line| said + line + " ");
                let status = if head.contains("/token") { "401 Unauthorized" } else { "503 Busy" };
                let length = said.len();
                let _ =
                    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{said}");
            }
        });
        Self { port, requests }
    }

    fn has_received(&self, part: &str) -> bool {
        self.requests.lock().unwrap().contains(part)
    }
}

/// The credential store of the session (GNOME Keyring).
struct Keyring(Child);

impl Keyring {
    fn start(desktop: &Desktop) -> Self {
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--unlock", "--components=secrets"]);
        desktop.apply(&mut daemon);
        let mut daemon = daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        daemon.stdin.take().unwrap().write_all(b"unlocked").unwrap();
        Self(daemon)
    }

    fn store(&self, desktop: &Desktop, name: &str, secret: &Path) {
        wait_for("the credential store", || {
            let mut tool = Command::new("secret-tool");
            tool.args(["store", "--label=insights-agent", "service", "insights-agent", "username", name]);
            desktop.apply(&mut tool);
            let tool = tool.stdin(fs::File::open(secret).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
            tool.status().unwrap().success().then_some(())
        });
        assert!(self.0.id() > 0);
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Guarantees: the value of a header is read from an environment variable, a file or the system's
/// credential store. A missing value is reported with the place where it is expected.
///
/// Settings: `collector.headers_from`.
#[test]
fn header_values_come_from_variable_file_and_store() {
    let (desktop, echo) = (Desktop::start(), Echo::start());
    let keyring = Keyring::start(&desktop);
    let mut env = TestEnv::new();
    let file = env.folder().join("secret");
    fs::write(&file, "out-of-the-store").unwrap();
    keyring.store(&desktop, "otlp", &file);
    fs::write(&file, "Bearer out-of-a-file\n").unwrap();
    env.set(format!("collector.endpoint=http://127.0.0.1:{}", echo.port));
    env.set("collector.protocol=http/protobuf");
    env.set("collector.headers_from.x-store=store:otlp");
    env.set("collector.headers_from.x-variable=env:OTLP_SECRET");
    env.set(format!("collector.headers_from.authorization=file:{}", file.display()));
    let start = |env: &TestEnv| {
        let mut command = env.command(&["run"]);
        desktop.apply(&mut command);
        env.start_as(command)
    };
    let mut command = env.command(&["run"]);
    desktop.apply(&mut command);
    let agent = env.start_as({
        command.env("OTLP_SECRET", "out-of-a-variable");
        command
    });
    for header in ["x-store: out-of-the-store", "x-variable: out-of-a-variable", "authorization: Bearer out-of-a-file"]
    {
        wait_for(header, || echo.has_received(header).then_some(()));
    }
    assert!(agent.stop());

    let agent = start(&env);
    env.wait_for_status("the missing variable", |status| {
        status.to_string().contains("the environment variable OTLP_SECRET")
    });
    assert!(agent.stop());
    env.set("collector.headers_from={\"x-store\":\"store:another\"}");
    let agent = start(&env);
    env.wait_for_status("the missing entry", |status| status.to_string().contains("no entry insights-agent/another"));
    assert!(agent.stop());
}

/// Returns all files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Guarantees: after a run with many secrets, against servers that repeat them in every response,
/// no secret is in anything that the agent wrote or printed: its log and files, status, settings,
/// `doctor` and the support bundle. The only exception is the copy of the settings file, which only
/// its owner can read.
///
/// Settings: `collector.headers`, `collector.oauth2.client_id`, `collector.oauth2.client_secret`.
#[test]
fn secrets_never_appear_in_files_or_output() {
    let echo = Echo::start();
    let mut env = TestEnv::new();
    env.unset("collector.endpoint");
    let folder = env.folder().join("config/insights-agent");
    fs::create_dir_all(&folder).unwrap();
    let in_file = env.folder().join("token");
    fs::write(&in_file, "s3cret-of-a-file").unwrap();
    let settings = json!({
        "collector": {
            "endpoint": format!("http://127.0.0.1:{}", echo.port),
            "protocol": "http/protobuf",
            "headers": { "x-api-key": "s3cret-of-all" },
            "headers_from": { "x-file": format!("file:{}", in_file.display()) },
            "metrics": { "headers": { "x-metrics": "s3cret-of-metrics" } },
            "logs": { "endpoint": format!("http://127.0.0.1:{}/logs", echo.port), "headers": { "x-logs": "s3cret-of-logs" } },
            "fallback": { "endpoint": format!("http://127.0.0.1:{}", echo.port), "headers": { "x-fallback": "s3cret-of-fallback" } },
            "proxy": { "address": format!("http://127.0.0.1:{}", echo.port), "user": "desks", "password": "s3cret-of-proxy" },
        },
        "resource": { "user_hash_key": "s3cret-of-the-hash" },
        "receiver": { "token": "s3cret-of-the-receiver" },
        "program_log": { "level": "debug" },
    });
    fs::write(folder.join("config.json"), settings.to_string()).unwrap();
    env.set("policy.allow_pause=true");
    let agent = env.start();
    let _ = env.status();
    let _ = env.ok(&["logs", "share", "on"]);
    env.write("application.log", "[2026-11-23T08:18:10.936] [INFO] default - hello\n");
    for secret in ["s3cret-of-all", "s3cret-of-a-file", "s3cret-of-metrics", "s3cret-of-logs", "s3cret-of-fallback"] {
        wait_for(secret, || echo.has_received(secret).then_some(()));
    }
    env.wait_for_status("the answer", |status| status.to_string().contains("x-api-key: ****"));

    let bundle = env.folder().join("bundle.zip");
    let commands: [&[&str]; 9] = [
        &["status"],
        &["status", "--json"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["config", "check"],
        &["doctor"],
        &["doctor", "--json"],
        &["queue"],
        &["bundle", bundle.to_str().unwrap()],
    ];
    let printed = commands.map(|words| {
        let output = env.run(words);
        let mut all = output.stdout;
        all.extend(output.stderr);
        (words.join(" "), all)
    });
    // With an authorization server that rejects everyone.
    let mut other = TestEnv::new();
    other.set(format!("collector.endpoint=http://127.0.0.1:{}", echo.port));
    other.set(format!("collector.oauth2.token_url=http://127.0.0.1:{}/token", echo.port));
    other.set("collector.oauth2.client_id=desks");
    other.set("collector.oauth2.client_secret=s3cret-of-the-client");
    let second = other.start();
    let status = other.wait_for_status("its refusal", |status| status.to_string().contains("did not issue a token"));
    assert!(second.stop() && agent.stop());

    let unpacked = env.folder().join("unpacked");
    let unzip = ["-m", "zipfile", "-e", bundle.to_str().unwrap(), unpacked.to_str().unwrap()];
    assert!(output(Command::new("python3").args(unzip)).status.success());
    let mut written = [env.data(), unpacked, other.data()].map(|folder| files(&folder)).concat();
    written.push(env.folder().join("agent.log"));
    let copy = env.data().join("settings.last-good.json");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    written.retain(|path| *path != copy);
    assert!(written.len() >= 8, "{written:?}");
    let contents = written.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap_or_default()));
    let all = contents.chain(printed).chain([("status".to_owned(), status.to_string().into_bytes())]);
    for (place, bytes) in all {
        let found = String::from_utf8_lossy(&bytes).into_owned();
        let at = found.find("s3cret-of");
        assert!(
            at.is_none(),
            "{place}: {}",
            &found[at.unwrap_or_default()..][..40.min(found.len() - at.unwrap_or_default())]
        );
    }
}
