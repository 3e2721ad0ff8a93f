//! The log source on real files, with a real queue behind it.

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
use crate::redaction::Person;

mod rotation;

/// Longest wait for something to happen in a test.
const LIMIT: Duration = Duration::from_secs(20);

/// A desk with an io.Connect folder, a queue, and a log source.
struct Desk {
    dir: TempDir,
    runtime: tokio::runtime::Runtime,
    running: Option<(Opened, LogReader)>,
    consent: Consent,
    max_bytes: &'static str,
    /// Settings of the log source beside those that make it fast.
    extra: serde_json::Value,
}

impl Desk {
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

    /// A desk on which all logs are shared and the source runs.
    fn sharing() -> Self {
        let mut desk = Self::new();
        desk.start();
        desk.share(true);
        desk
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
            redactor: Arc::new(LazyRedactor::new(&settings.redaction, Person::default())),
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

    /// Takes records out of the queue until there are as many, or the limit is over.
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

    /// Writes one more line and waits for it: what has not arrived before it will not arrive any more.
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

    /// Waits until a number of files is followed.
    fn wait_for_files(&self, count: usize) {
        let (_, source) = self.running.as_ref().unwrap();
        let mut status = source.watch();
        let waited =
            async { tokio::time::timeout(LIMIT, status.wait_for(|s| s.files == count)).await.map(|s| s.is_ok()) };
        assert_eq!(self.runtime.block_on(waited), Ok(true), "{count} files are not followed");
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
        other => panic!("a body that is no text: {other:?}"),
    }
}

fn attribute(record: &LogRecord, key: &str) -> Option<String> {
    let found = record.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

/// Before the user shares logs nothing of them is read; then only what is written from then on.
#[test]
fn reading_begins_with_consent() {
    let mut desk = Desk::new();
    desk.write("application.log", &line("before"));
    desk.start();
    desk.write("application.log", &line("still before"));
    desk.share(true);
    desk.wait_for_files(1);
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.write("application.log", &line("after"));
    assert_eq!(desk.take_bodies(1), ["after"]);
    desk.stop();
}

#[test]
fn records_carry_where_they_come_from() {
    let mut desk = Desk::sharing();
    desk.write(
        "applications/clientlist.log",
        "[2026-11-23T08:18:10.937] [ERROR] [9816_10] clientlist.main - oh\n  at x\n",
    );
    let records = desk.take(1);
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
    desk.stop();
}

/// A file that comes while logs are shared is read from its beginning, an unfinished line only once it is finished.
#[test]
fn unfinished_lines_wait() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &(line("one") + "[2026-11-23T08:18:11.000] [INFO] default - tw"));
    assert_eq!(desk.take_bodies(1), ["one"]);
    desk.write("gw.log", &line("other file"));
    assert_eq!(desk.take_bodies(1), ["other file"]);
    desk.write("application.log", "o\n");
    assert_eq!(desk.take_bodies(1), ["two"]);
    desk.stop();
}

/// A last line that is never finished is sent after a while, marked; what comes later is marked as its rest.
#[test]
fn a_line_that_is_never_finished_is_sent() {
    let mut desk = Desk::sharing();
    desk.write("application.log", "[2026-11-23T08:18:11.000] [INFO] default - half a l");
    let record = &desk.take(1)[0];
    assert_eq!(body(record), "half a l");
    assert_eq!(attribute(record, "ioconnect.log.unfinished").as_deref(), Some("BoolValue(true)"));
    desk.write("application.log", &("ine\n".to_owned() + &line("next")));
    let rest = desk.take(2);
    assert_eq!(rest.iter().map(body).collect::<Vec<_>>(), ["ine", "next"]);
    assert_eq!(attribute(&rest[0], "ioconnect.log.continuation").as_deref(), Some("BoolValue(true)"));
    desk.stop();
}

/// UTF-16 as .NET and PowerShell write it, with a byte order mark, is read like any text, also after a restart.
#[test]
fn utf_16_is_read() {
    let mut desk = Desk::sharing();
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = "\u{feff}".to_owned() + &line("caf\u{e9} \u{1f600}") + &line("two");
    append_bytes(&desk.path("dotnet.log"), &utf_16(&text));
    let records = desk.take(2);
    assert_eq!(records.iter().map(body).collect::<Vec<_>>(), ["caf\u{e9} \u{1f600}", "two"]);
    assert!(attribute(&records[0], "log.record.uid").unwrap().ends_with("-0000000000000002"));
    desk.stop();
    append_bytes(&desk.path("dotnet.log"), &utf_16(&line("three")));
    desk.start();
    assert_eq!(desk.take_bodies(1), ["three"]);
    desk.stop();
}

/// Invalid bytes, zeros and lines that are too long never end the reading.
#[test]
fn bad_bytes_are_survived() {
    let mut desk = Desk::sharing();
    append_bytes(&desk.path("application.log"), b"[2026-11-23T08:18:10.936] [INFO] default - bad \xff\xfe\n");
    append_bytes(&desk.path("application.log"), &[0; 5000]);
    desk.write("application.log", &line(&"x".repeat(600_000)));
    desk.write("application.log", &line("last"));
    let bodies = desk.take_bodies(5);
    assert_eq!(bodies[0], "bad \u{fffd}\u{fffd}");
    assert_eq!(bodies[1..4].concat(), "x".repeat(600_000));
    assert_eq!(bodies[4], "last");
    desk.stop();
    let counters = crate::pipeline::queue::inspect(&desk.dir.path().join("queue.db")).unwrap().counters;
    assert_eq!((counters["read.logs"], counters["cut.logs"]), (5, 2));
}

/// With a time to start at, what is older is not read; all else is.
#[test]
fn history_is_read_from_a_time_on() {
    let mut desk = Desk::new();
    desk.extra = serde_json::json!({ "start_at": "2026-11-23T08:00:00Z" });
    let at = |time: &str, message: &str| format!("[2026-11-23T{time}.000] [INFO] default - {message}\n");
    desk.write(
        "application.log",
        &(at("07:59:59", "old") + "  more of it\n" + &at("08:00:00", "first") + &at("09:00:00", "second")),
    );
    desk.write("gw.log", &at("07:00:00", "all of it is old"));
    desk.start();
    desk.share(true);
    assert_eq!(desk.take_bodies(2), ["first", "second"]);
    assert_eq!(desk.take_until_marker("gw.log"), Vec::<String>::new());
    desk.stop();
}

/// What must not leave the machine never reaches the queue; filters leave records out, and count them.
#[test]
fn records_are_redacted_and_filtered_before_the_queue() {
    let mut desk = Desk::new();
    desk.extra = serde_json::json!({ "filters": [{ "below": "info" }] });
    desk.start();
    desk.share(true);
    desk.write("application.log", "[2026-11-23T08:18:10.936] [DEBUG] default - left out\n");
    desk.write("application.log", &line("token=abc for jane@example.com"));
    desk.write(
        "applications/jane@example.com.log",
        "[2026-11-23T08:18:10.936] [INFO] [1_2] joe@example.com - Error: /home/jane/x\n    at f (/home/jane/y)\n",
    );
    let mut records = desk.take(2);
    records.sort_by_key(body);
    assert_eq!(body(&records[0]), "Error: /home/[user]/x\n    at f (/home/[user]/y)");
    assert_eq!(attribute(&records[0], "exception.message").as_deref(), Some("/home/[user]/x"));
    assert_eq!(attribute(&records[0], "ioconnect.log.category").as_deref(), Some("[email]"));
    assert_eq!(attribute(&records[0], "log.file.name").as_deref(), Some("[email].log"));
    assert_eq!(body(&records[1]), "token=[credential] for [email]");
    desk.stop();
    let counters = crate::pipeline::queue::inspect(&desk.dir.path().join("queue.db")).unwrap().counters;
    assert_eq!((counters["read.logs"], counters["dropped.logs.filtered"]), (3, 1));
}

/// The trace and the exception that a line names are sent as such.
#[test]
fn traces_and_exceptions_are_found() {
    let mut desk = Desk::sharing();
    desk.write(
        "application.log",
        "[2026-11-23T08:18:10.937] [ERROR] default - failed 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 TypeError: x is null\n    at f (a.js:1:2)\n",
    );
    let record = &desk.take(1)[0];
    assert_eq!(record.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!((record.span_id.len(), record.flags), (8, 1));
    assert_eq!(attribute(record, "exception.type").as_deref(), Some("TypeError"));
    assert_eq!(attribute(record, "exception.message").as_deref(), Some("x is null"));
    assert_eq!(attribute(record, "exception.stacktrace").as_deref(), Some("TypeError: x is null\n    at f (a.js:1:2)"));
    desk.stop();
}

/// After withdrawal nothing is read, and what was written until logs are shared again is never read, whether the agent
/// ran meanwhile or not.
#[test]
fn withdrawal_leaves_a_gap() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &line("shared"));
    assert_eq!(desk.take_bodies(1), ["shared"]);
    desk.share(false);
    desk.write("application.log", &line("private"));
    desk.share(true);
    desk.wait_for_files(1);
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());

    desk.share(false);
    desk.stop();
    desk.write("application.log", &line("private too"));
    desk.share(true);
    desk.start();
    desk.wait_for_files(1);
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// While the queue is full the file is the buffer: reading waits, then goes on, and nothing is lost.
#[test]
fn a_full_queue_makes_the_reader_wait() {
    let mut desk = Desk::new();
    desk.max_bytes = "1 MiB";
    desk.start();
    let (opened, source) = desk.running.as_ref().unwrap();
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(930_000).collect();
    let filler = NewBatch {
        signal: Signal::Traces,
        consent: None,
        items: 1,
        oldest_unix_nano: 0,
        newest_unix_nano: 0,
        payload: noise,
    };
    desk.runtime.block_on(opened.queue.append(filler)).unwrap();
    let mut status = source.watch();
    desk.share(true);
    let text: String = (0..2000).map(|n| line(&format!("{n} {:032x}", fastrand::u128(..)))).collect();
    desk.write("application.log", &text);
    let waits = async { tokio::time::timeout(LIMIT, status.wait_for(|s| s.waiting_for_room)).await.map(|s| s.is_ok()) };
    assert_eq!(desk.runtime.block_on(waits), Ok(true), "the reader does not wait");
    let (opened, _) = desk.running.as_ref().unwrap();
    desk.runtime.block_on(async {
        let filler = opened.queue.next(Signal::Traces).await.unwrap();
        opened.queue.acknowledge(filler.id, 0).await;
    });
    let bodies = desk.take_bodies(2000);
    let numbers: Vec<usize> = bodies.iter().map(|body| body.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
    desk.stop();
}
