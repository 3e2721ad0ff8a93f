//! Scenario: the log reader on real files, with a real queue.
//!
//! Guarantees: only shared files are read; every line arrives once, redacted and filtered.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tempfile::TempDir;

use super::*;
use crate::config::QueueSettings;
use crate::consent::LogKind;
use crate::otlp::{Compression, Signal, compression};
use crate::pipeline::queue::{NewBatch, Opened};
use crate::redaction::UserIdentity;

mod rotation;

/// Maximum time to wait for an event in a test.
const LIMIT: Duration = Duration::from_secs(20);

/// A machine with an io.Connect folder, a queue and a log reader.
struct TestEnv {
    dir: TempDir,
    runtime: tokio::runtime::Runtime,
    running: Option<(Opened, LogReader)>,
    consent: Consent,
    max_bytes: &'static str,
    /// Log settings in addition to the intervals that make tests fast.
    extra: serde_json::Value,
}

impl TestEnv {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("UserData/DEMO-INTEROP.IO/logs/applications")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            dir,
            runtime,
            running: None,
            consent: Consent::default(),
            max_bytes: "64 MiB",
            extra: serde_json::json!({}),
        }
    }

    /// Starts a log reader with all logs shared.
    fn sharing() -> Self {
        let mut env = Self::new();
        env.start();
        env.share(true);
        env
    }

    fn start(&mut self) {
        let settings = QueueSettings { max_bytes: self.max_bytes.parse().unwrap(), ..QueueSettings::default() };
        let opened = Queue::open(&self.dir.path().join("queue.db"), &settings, Compression::Gzip).unwrap();
        let mut settings = serde_json::json!({ "flush_interval": "50ms", "poll_interval": "100ms" });
        settings.as_object_mut().unwrap().extend(self.extra.as_object().unwrap().clone());
        let settings: LogSettings = serde_json::from_value(settings).unwrap();
        let context = LogContext {
            settings: settings.clone(),
            user_data: vec![self.dir.path().join("UserData")],
            queue: opened.queue.clone(),
            resource: Vec::new(),
            redactor: Arc::new(LazyRedactor::new(&settings.redaction, UserIdentity::default())),
            pause: crate::pause::Pause::default(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let publish = watch::channel(LogStatus::default()).0;
        let source = LogReader::start(context, self.consent.clone(), publish).unwrap();
        self.running = Some((opened, source));
    }

    fn stop(&mut self) {
        let (opened, source) = self.running.take().unwrap();
        source.stop();
        opened.thread.stop();
    }

    fn share(&mut self, shared: bool) {
        self.consent.decide(&LogKind::ALL, shared, jiff::Timestamp::now());
        let Some((opened, source)) = &self.running else { return };
        source.control().set_consent(self.consent.clone());
        if !shared {
            for kind in LogKind::ALL {
                self.runtime.block_on(opened.queue.purge(kind)).unwrap();
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("UserData/DEMO-INTEROP.IO/logs").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// Takes records out of the queue until there are `count`, or the time limit has passed.
    fn take(&self, count: usize) -> Vec<LogRecord> {
        let (opened, _) = self.running.as_ref().unwrap();
        let until = Instant::now() + LIMIT;
        let mut records = Vec::new();
        while records.len() < count && Instant::now() < until {
            self.runtime.block_on(async {
                match opened.queue.next(Signal::Logs).await {
                    Some(batch) => {
                        let bytes = compression::decompress(batch.compression, &batch.payload, 64 << 20).unwrap();
                        let request = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
                        let scopes = request.resource_logs.into_iter().flat_map(|r| r.scope_logs);
                        records.extend(scopes.flat_map(|s| s.log_records));
                        opened.queue.acknowledge(batch.id, 0).await;
                    }
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            });
        }
        records
    }

    fn take_bodies(&self, count: usize) -> Vec<String> {
        self.take(count).iter().map(body).collect()
    }

    /// Writes one more line and waits for it: anything that has not arrived before it will not
    /// arrive.
    fn take_until_marker(&self, name: &str) -> Vec<String> {
        let marker = "the marker";
        self.write(name, &line(marker));
        let mut bodies = Vec::new();
        let until = Instant::now() + LIMIT;
        while bodies.last().map(String::as_str) != Some(marker) {
            assert!(Instant::now() < until, "the marker did not arrive after {bodies:?}");
            bodies.extend(self.take_bodies(1));
        }
        bodies.pop();
        bodies
    }

    /// Waits until `count` files are tailed.
    fn wait_for_files(&self, count: usize) {
        let (_, source) = self.running.as_ref().unwrap();
        let mut status = source.watch();
        let waited =
            async { tokio::time::timeout(LIMIT, status.wait_for(|s| s.files == count)).await.map(|s| s.is_ok()) };
        assert_eq!(self.runtime.block_on(waited), Ok(true), "{count} files are not tailed");
    }
}

fn append(path: &Path, text: &str) {
    append_bytes(path, text.as_bytes());
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn line(message: &str) -> String {
    format!("[2026-11-23T08:18:10.936] [INFO] default - {message}\n")
}

fn body(record: &LogRecord) -> String {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("body is not text: {other:?}"),
    }
}

fn attribute(record: &LogRecord, key: &str) -> Option<String> {
    let found = record.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

/// Nothing is read before logs are shared; afterwards only lines written from then on.
#[test]
fn reading_starts_with_consent() {
    let mut env = TestEnv::new();
    env.write("application.log", &line("before"));
    env.start();
    env.write("application.log", &line("still before"));
    env.share(true);
    env.wait_for_files(1);
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.write("application.log", &line("after"));
    assert_eq!(env.take_bodies(1), ["after"]);
    env.stop();
}

#[test]
fn records_carry_attributes_of_their_file() {
    let mut env = TestEnv::sharing();
    env.write(
        "applications/clientlist.log",
        "[2026-11-23T08:18:10.937] [ERROR] [9816_10] clientlist.main - oh\n  at x\n",
    );
    let records = env.take(1);
    let record = &records[0];
    assert_eq!(body(record), "oh\n  at x");
    assert_eq!(record.severity_text, "ERROR");
    assert_eq!(record.time_unix_nano, 1_795_421_890_937_000_000);
    let of = |key: &str| attribute(record, key).unwrap_or_default();
    assert_eq!(of("ioconnect.app.name"), "clientlist");
    assert_eq!(of("ioconnect.instance.id"), "9816_10");
    assert_eq!(of("ioconnect.log.category"), "clientlist.main");
    assert_eq!(of("ioconnect.env_region"), "DEMO-INTEROP.IO");
    assert_eq!(of("log.file.name"), "clientlist.log");
    assert!(of("log.record.uid").ends_with("-0000000000000000"));
    env.stop();
}

/// A file that appears while logs are shared is read from its beginning. An unfinished line is read
/// when it is complete.
#[test]
fn unfinished_line_waits_for_its_end() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &(line("one") + "[2026-11-23T08:18:11.000] [INFO] default - tw"));
    assert_eq!(env.take_bodies(1), ["one"]);
    env.write("gw.log", &line("other file"));
    assert_eq!(env.take_bodies(1), ["other file"]);
    env.write("application.log", "o\n");
    assert_eq!(env.take_bodies(1), ["two"]);
    env.stop();
}

/// A last line that is never finished is sent after a while, marked as unfinished. What follows is
/// marked as its continuation.
#[test]
fn unfinished_line_is_sent_marked_after_timeout() {
    let mut env = TestEnv::sharing();
    env.write("application.log", "[2026-11-23T08:18:11.000] [INFO] default - half a l");
    let record = &env.take(1)[0];
    assert_eq!(body(record), "half a l");
    assert_eq!(attribute(record, "ioconnect.log.unfinished").as_deref(), Some("BoolValue(true)"));
    env.write("application.log", &("ine\n".to_owned() + &line("next")));
    let rest = env.take(2);
    assert_eq!(rest.iter().map(body).collect::<Vec<_>>(), ["ine", "next"]);
    assert_eq!(attribute(&rest[0], "ioconnect.log.continuation").as_deref(), Some("BoolValue(true)"));
    env.stop();
}

/// UTF-16 with a BOM, as .NET and PowerShell write it, is read like any text, also after a restart.
#[test]
fn utf_16_file_is_read() {
    let mut env = TestEnv::sharing();
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = "\u{feff}".to_owned() + &line("caf\u{e9} \u{1f600}") + &line("two");
    append_bytes(&env.path("dotnet.log"), &utf_16(&text));
    let records = env.take(2);
    assert_eq!(records.iter().map(body).collect::<Vec<_>>(), ["caf\u{e9} \u{1f600}", "two"]);
    assert!(attribute(&records[0], "log.record.uid").unwrap().ends_with("-0000000000000002"));
    env.stop();
    append_bytes(&env.path("dotnet.log"), &utf_16(&line("three")));
    env.start();
    assert_eq!(env.take_bodies(1), ["three"]);
    env.stop();
}

/// Invalid bytes, zero bytes and overlong lines do not stop reading.
#[test]
fn invalid_bytes_do_not_stop_reading() {
    let mut env = TestEnv::sharing();
    append_bytes(&env.path("application.log"), b"[2026-11-23T08:18:10.936] [INFO] default - bad \xff\xfe\n");
    append_bytes(&env.path("application.log"), &[0; 5000]);
    env.write("application.log", &line(&"x".repeat(600_000)));
    env.write("application.log", &line("last"));
    let bodies = env.take_bodies(5);
    assert_eq!(bodies[0], "bad \u{fffd}\u{fffd}");
    assert_eq!(bodies[1..4].concat(), "x".repeat(600_000));
    assert_eq!(bodies[4], "last");
    env.stop();
    let counters = crate::pipeline::queue::inspect(&env.dir.path().join("queue.db")).unwrap().counters;
    assert_eq!((counters["read.logs"], counters["cut.logs"]), (5, 2));
}

/// With `start_at` set to a time, older records are skipped and all others are read.
#[test]
fn start_at_time_skips_older_records() {
    let mut env = TestEnv::new();
    env.extra = serde_json::json!({ "start_at": "2026-11-23T08:00:00Z" });
    let at = |time: &str, message: &str| format!("[2026-11-23T{time}.000] [INFO] default - {message}\n");
    env.write(
        "application.log",
        &(at("07:59:59", "old") + "  more of it\n" + &at("08:00:00", "first") + &at("09:00:00", "second")),
    );
    env.write("gw.log", &at("07:00:00", "all of it is old"));
    env.start();
    env.share(true);
    assert_eq!(env.take_bodies(2), ["first", "second"]);
    assert_eq!(env.take_until_marker("gw.log"), Vec::<String>::new());
    env.stop();
}

/// Secrets never reach the queue. Filtered records are dropped and counted.
#[test]
fn records_are_redacted_and_filtered_before_queueing() {
    let mut env = TestEnv::new();
    env.extra = serde_json::json!({ "filters": [{ "below": "info" }] });
    env.start();
    env.share(true);
    env.write("application.log", "[2026-11-23T08:18:10.936] [DEBUG] default - left out\n");
    env.write("application.log", &line("token=abc for jane@example.com"));
    env.write(
        "applications/jane@example.com.log",
        "[2026-11-23T08:18:10.936] [INFO] [1_2] joe@example.com - Error: /home/jane/x\n    at f (/home/jane/y)\n",
    );
    let mut records = env.take(2);
    records.sort_by_key(body);
    assert_eq!(body(&records[0]), "Error: /home/[user]/x\n    at f (/home/[user]/y)");
    assert_eq!(attribute(&records[0], "exception.message").as_deref(), Some("/home/[user]/x"));
    assert_eq!(attribute(&records[0], "ioconnect.log.category").as_deref(), Some("[email]"));
    assert_eq!(attribute(&records[0], "log.file.name").as_deref(), Some("[email].log"));
    assert_eq!(body(&records[1]), "token=[credential] for [email]");
    env.stop();
    let counters = crate::pipeline::queue::inspect(&env.dir.path().join("queue.db")).unwrap().counters;
    assert_eq!((counters["read.logs"], counters["dropped.logs.filtered"]), (3, 1));
}

/// The trace and the exception in a line are exported as such.
#[test]
fn traces_and_exceptions_are_exported() {
    let mut env = TestEnv::sharing();
    env.write(
        "application.log",
        "[2026-11-23T08:18:10.937] [ERROR] default - failed 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 TypeError: x is null\n    at f (a.js:1:2)\n",
    );
    let record = &env.take(1)[0];
    assert_eq!(record.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!((record.span_id.len(), record.flags), (8, 1));
    assert_eq!(attribute(record, "exception.type").as_deref(), Some("TypeError"));
    assert_eq!(attribute(record, "exception.message").as_deref(), Some("x is null"));
    assert_eq!(attribute(record, "exception.stacktrace").as_deref(), Some("TypeError: x is null\n    at f (a.js:1:2)"));
    env.stop();
}

/// After withdrawal nothing is read. Lines written before logs are shared again are never read,
/// whether or not the agent was running.
#[test]
fn lines_written_after_withdrawal_are_never_read() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &line("shared"));
    assert_eq!(env.take_bodies(1), ["shared"]);
    env.share(false);
    env.write("application.log", &line("private"));
    env.share(true);
    env.wait_for_files(1);
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());

    env.share(false);
    env.stop();
    env.write("application.log", &line("private too"));
    env.share(true);
    env.start();
    env.wait_for_files(1);
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// While the queue is full, the file is the buffer: reading waits, then continues, and nothing is
/// lost.
#[test]
fn reader_waits_when_queue_is_full() {
    let mut env = TestEnv::new();
    env.max_bytes = "1 MiB";
    env.start();
    let (opened, source) = env.running.as_ref().unwrap();
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(930_000).collect();
    let filler = NewBatch {
        signal: Signal::Traces,
        consent: None,
        items: 1,
        oldest_unix_nano: 0,
        newest_unix_nano: 0,
        payload: noise,
    };
    env.runtime.block_on(opened.queue.append(filler)).unwrap();
    let mut status = source.watch();
    env.share(true);
    let text: String = (0..2000).map(|n| line(&format!("{n} {:032x}", fastrand::u128(..)))).collect();
    env.write("application.log", &text);
    let waits = async { tokio::time::timeout(LIMIT, status.wait_for(|s| s.waiting_for_room)).await.map(|s| s.is_ok()) };
    assert_eq!(env.runtime.block_on(waits), Ok(true), "the reader does not wait");
    let (opened, _) = env.running.as_ref().unwrap();
    env.runtime.block_on(async {
        let filler = opened.queue.next(Signal::Traces).await.unwrap();
        opened.queue.acknowledge(filler.id, 0).await;
    });
    let bodies = env.take_bodies(2000);
    let numbers: Vec<usize> = bodies.iter().map(|body| body.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
    env.stop();
}
