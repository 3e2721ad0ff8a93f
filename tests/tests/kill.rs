//! The agent killed without warning, again and again, while log files are written and rotated.

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

/// Kills in each of the two tests.
const KILLS: usize = 50;
/// Files that are written at the same time: one of each kind.
const FILES: [&str; 2] = ["application.log", "applications/clientlist.log"];

/// Writes numbered records until it is told to end, some of several lines, in bursts; rotates the files by renaming.
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

    /// Ends the writing; returns how many records were written.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.written.load(Ordering::Acquire)
    }
}

fn record(number: usize) -> String {
    let more = if number.is_multiple_of(9) { "\n    at line two\n    at line three" } else { "" };
    format!("[2026-11-23T08:18:10.936] [INFO] [9816_10] clientlist.main - number {number}{more}\n")
}

/// `x.log` becomes `x.1.log`, and so on; all are kept, as log4js keeps its backups.
fn rotate(file: &Path) {
    let name = |number: usize| file.with_extension(format!("{number}.log"));
    let last = (1..10_000).find(|number| !name(*number).exists()).unwrap();
    for number in (1..last).rev() {
        fs::rename(name(number), name(number + 1)).unwrap();
    }
    fs::rename(file, name(1)).unwrap();
}

/// Starts the agent and kills it, many times, at moments that differ.
fn kill_again_and_again(env: &TestEnv, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..KILLS {
        let agent = env.start();
        std::thread::sleep(Duration::from_millis(random.u64(0..350)));
        agent.kill();
    }
}

/// The number of every record; panics if a record is not whole.
fn number(line: &Line) -> usize {
    let rest = line.body.strip_prefix("number ").unwrap();
    let number: usize = rest.lines().next().unwrap().parse().unwrap();
    assert!(record(number).trim_end().ends_with(&line.body), "a record was torn: {:?}", line.body);
    number
}

fn env_that_shares(endpoint: &str) -> TestEnv {
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={endpoint}"));
    let _ = env.ok(&["logs", "share", "on"]);
    env
}

/// Guarantees: with the collector away, every record written is in the queue exactly once, whole, after any number of
/// kills.
#[test]
fn log_lines_killed_at_any_moment_are_queued_exactly_once() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let env = env_that_shares(&format!("http://127.0.0.1:{}", free_port()));
    let writer = Writer::start(&env, seed);
    kill_again_and_again(&env, seed);
    let written = writer.end();

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

/// Guarantees: at the collector every record arrives at least once; one that arrives again has the same
/// `log.record.uid`, so that the repeat can be seen.
#[test]
fn log_lines_killed_at_any_moment_arrive_and_repeats_keep_their_uid() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let receiver = Receiver::start();
    let env = env_that_shares(&receiver.endpoint());
    let writer = Writer::start(&env, seed);
    kill_again_and_again(&env, seed);
    let written = writer.end();

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

/// Every log record in a queue's file, read without the agent's code.
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
