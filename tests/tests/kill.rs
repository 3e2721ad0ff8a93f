//! Scenario: the agent is killed at random moments, many times, while log files are written and
//! rotated.

#![cfg(unix)]

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use test_support::receiver::{Line, Receiver, lines};
use test_support::test_env::{TestEnv, append};
use test_support::{free_port, wait_for};

/// Number of kills in each test.
const KILLS: usize = 50;
/// Files that are written at the same time: one of each kind of logs.
const FILES: [&str; 2] = ["application.log", "applications/clientlist.log"];

/// Writes numbered records in bursts, some of several lines, and rotates the files by renaming.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    fn start(env: &TestEnv, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicUsize::new(0));
        let (ended, count) = (Arc::clone(&stop), Arc::clone(&written));
        let files = FILES.map(|name| env.log(name));
        let thread = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                let file = &files[random.usize(..files.len())];
                let mut burst = String::new();
                for _ in 0..random.usize(1..200) {
                    burst.push_str(&record(number));
                    number += 1;
                }
                append(file, &burst);
                count.store(number, Ordering::Release);
                if random.usize(..25) == 0 {
                    rotate(file);
                }
                std::thread::sleep(Duration::from_millis(random.u64(1..8)));
            }
        });
        Self { stop, written, thread }
    }

    /// Stops writing; returns the number of written records.
    fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.written.load(Ordering::Acquire)
    }
}

fn record(number: usize) -> String {
    let more = if number.is_multiple_of(9) { "\n    at line two\n    at line three" } else { "" };
    format!("[2026-11-23T08:18:10.936] [INFO] [9816_10] clientlist.main - number {number}{more}\n")
}

/// Renames `x.log` to `x.1.log`, and so on, and keeps all backups, as log4js does.
fn rotate(file: &Path) {
    let name = |number: usize| file.with_extension(format!("{number}.log"));
    let last = (1..10_000).find(|number| !name(*number).exists()).unwrap();
    for number in (1..last).rev() {
        fs::rename(name(number), name(number + 1)).unwrap();
    }
    fs::rename(file, name(1)).unwrap();
}

/// Starts the agent and kills it at a random moment, many times.
fn kill_again_and_again(env: &TestEnv, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..KILLS {
        let agent = env.start();
        std::thread::sleep(Duration::from_millis(random.u64(0..350)));
        agent.kill();
    }
}

/// Returns the number of a record; panics if the record is incomplete.
fn number(line: &Line) -> usize {
    let rest = line.body.strip_prefix("number ").unwrap();
    let number: usize = rest.lines().next().unwrap().parse().unwrap();
    assert!(record(number).trim_end().ends_with(&line.body), "an incomplete record: {:?}", line.body);
    number
}

fn env_that_shares(endpoint: &str) -> TestEnv {
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={endpoint}"));
    let _ = env.ok(&["logs", "share", "on"]);
    env
}

/// Guarantees: while the collector is unreachable, every written record is in the queue exactly
/// once and complete, after any number of kills.
#[test]
fn log_lines_killed_at_any_moment_are_queued_exactly_once() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let env = env_that_shares(&format!("http://127.0.0.1:{}", free_port()));
    let writer = Writer::start(&env, seed);
    kill_again_and_again(&env, seed);
    let written = writer.finish();

    let agent = env.start();
    wait_for("all records to be in the queue", || {
        let status = env.status();
        let read = status["queue"]["counters"]["read.logs"].as_u64().unwrap_or_default();
        (read >= written as u64).then_some(())
    });
    assert!(agent.stop());
    let queued = queued(&env.data().join("queue.db"));
    let numbers: HashSet<usize> = queued.iter().map(number).collect();
    let uids: HashSet<&str> = queued.iter().map(|line| line.uid.as_str()).collect();
    assert_eq!((queued.len(), numbers.len(), uids.len()), (written, written, written), "records, numbers, uids");
}

/// Guarantees: every record arrives at the collector at least once. A repeat has the same
/// `log.record.uid`, so the collector can recognise it.
#[test]
fn log_lines_killed_at_any_moment_arrive_and_repeats_keep_their_uid() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let receiver = Receiver::start();
    let env = env_that_shares(&receiver.endpoint());
    let writer = Writer::start(&env, seed);
    kill_again_and_again(&env, seed);
    let written = writer.finish();

    let agent = env.start();
    let arrived = || receiver.lines().iter().map(number).collect::<HashSet<usize>>().len();
    wait_for("all records to arrive", || (arrived() >= written).then_some(()));
    assert!(agent.stop());
    let lines = receiver.lines();
    let distinct: HashSet<&Line> = lines.iter().collect();
    let uids: HashSet<&str> = lines.iter().map(|line| line.uid.as_str()).collect();
    assert_eq!((arrived(), distinct.len(), uids.len()), (written, written, written), "numbers, records, uids");
    eprintln!("{written} records, {} of them twice", lines.len() - written);
}

/// Returns every log record in a queue file, read without the agent's code.
fn queued(file: &Path) -> Vec<Line> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut rows = connection.prepare("SELECT payload FROM batch WHERE signal = 'logs' ORDER BY id").unwrap();
    let payloads = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let mut all = Vec::new();
    for payload in payloads {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(payload.unwrap().as_slice()).read_to_end(&mut bytes).unwrap();
        all.extend(lines(&ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap()));
    }
    all
}
