//! The log source on real files, with a real queue behind it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tempfile::TempDir;

use super::*;
use crate::config::{Compression, QueueSettings};
use crate::consent::LogKind;
use crate::pipeline::queue::{NewBatch, Opened};
use crate::pipeline::{Signal, codec};

/// Longest wait for something to happen in a test.
const LIMIT: Duration = Duration::from_secs(20);

/// A desk with an io.Connect folder, a queue, and a log source.
struct Desk {
    dir: TempDir,
    runtime: tokio::runtime::Runtime,
    running: Option<(Opened, LogSource)>,
    consent: Consent,
    max_bytes: &'static str,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("UserData/DEMO-INTEROP.IO/logs/applications")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { dir, runtime, running: None, consent: Consent::default(), max_bytes: "64 MiB" }
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
        let settings = serde_json::json!({ "flush_interval": "50ms", "poll_interval": "100ms" });
        let context = LogContext {
            settings: serde_json::from_value(settings).unwrap(),
            user_data: vec![self.dir.path().join("UserData")],
            queue: opened.queue.clone(),
            resource: Vec::new(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let source = LogSource::start(context, self.consent.clone()).unwrap();
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
                self.runtime.block_on(opened.queue.withdraw(kind)).unwrap();
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
                        let bytes = codec::decompress(batch.compression, &batch.payload, 64 << 20).unwrap();
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
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
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

/// Rotation by rename loses and doubles nothing, also what was written just before it.
#[test]
fn a_renamed_file_is_read_to_its_end() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &line("1"));
    assert_eq!(desk.take_bodies(1), ["1"]);
    for turn in 0..5 {
        desk.write("application.log", &line(&format!("{turn} last")));
        for number in (1..=turn).rev() {
            fs::rename(
                desk.path(&format!("application.{number}.log")),
                desk.path(&format!("application.{}.log", number + 1)),
            )
            .unwrap();
        }
        fs::rename(desk.path("application.log"), desk.path("application.1.log")).unwrap();
        desk.write("application.log", &line(&format!("{turn} first")));
        let mut bodies = desk.take_bodies(2);
        bodies.sort();
        assert_eq!(bodies, [format!("{turn} first"), format!("{turn} last")]);
    }
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// A file that is cut short is another file: read from its beginning, with new identifiers.
#[test]
fn a_truncated_file_is_read_again() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &(line("a long first line that is longer than the next") + &line("second")));
    let before = desk.take(2);
    File::create(desk.path("application.log")).unwrap();
    desk.write("application.log", &line("new"));
    let after = desk.take(1);
    assert_eq!(body(&after[0]), "new");
    assert_ne!(attribute(&before[0], "log.record.uid"), attribute(&after[0], "log.record.uid"));
    desk.stop();
}

/// What was written while the agent was not running arrives after its next start, once.
#[test]
fn a_restart_goes_on_where_it_ended() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &line("1"));
    assert_eq!(desk.take_bodies(1), ["1"]);
    desk.stop();
    desk.write("application.log", &line("2"));
    fs::rename(desk.path("application.log"), desk.path("application.1.log")).unwrap();
    desk.write("application.log", &line("3"));
    desk.start();
    let mut bodies = desk.take_bodies(2);
    bodies.sort();
    assert_eq!(bodies, ["2", "3"]);
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
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
