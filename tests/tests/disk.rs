//! Scenario: the disk of the built agent is full, or its data folder cannot be created.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fs;

use serde_json::Value;
use test_support::receiver::Receiver;
use test_support::test_env::TestEnv;
use test_support::wait_for;

/// Number of lines in each of the two portions.
const LINES: usize = 3_000;

fn portion(from: usize) -> String {
    // Noise, so that the data does not fit because of compression.
    let line = |number| {
        let noise: String = std::iter::repeat_with(fastrand::alphanumeric).take(80).collect();
        format!("[2026-11-23T08:18:10.936] [INFO] default - number {number} {noise}\n")
    };
    (from..from + LINES).map(line).collect()
}

fn acknowledged(status: &Value) -> u64 {
    status["collector"]["metrics"]["acknowledged_items"].as_u64().unwrap()
}

/// Guarantees: on a disk that is full from the start, so that the queue file cannot be created, and
/// on one that fills up while logs are read, the agent starts, reports the problem and continues to
/// deliver metrics. Log files wait. When the disk has space again, the agent continues by itself,
/// and every line arrives exactly once.
#[test]
fn full_disk_loses_no_line_and_agent_keeps_running() {
    for blocks in [8, 256] {
        let receiver = Receiver::start();
        let mut env = TestEnv::new();
        env.set(format!("collector.endpoint={}", receiver.endpoint()));
        let _ = env.ok(&["logs", "share", "on"]);
        let agent = env.start_with_file_limit(blocks);
        env.write("application.log", &portion(0));
        let status = env.wait_for_status("the full disk to be noticed", |status| {
            status["queue"]["problems"][0].as_str().is_some_and(|problem| problem.contains("cannot be written"))
                && status["logs"]["reading"]["waiting_for_room"] == true
        });
        assert_eq!(status["health"], "attention");
        env.write("application.log", &portion(LINES));
        let before = acknowledged(&status);
        env.wait_for_status("metrics to be delivered", |status| acknowledged(status) > before);
        assert!(receiver.lines().len() < 2 * LINES);

        agent.lift_file_limit();
        wait_for("every line to arrive", || (receiver.lines().len() >= 2 * LINES).then_some(()));
        env.wait_for_status("the problem to end", |status| status["queue"]["problems"] == serde_json::json!([]));
        assert!(agent.stop());
        let distinct: HashSet<String> = receiver.lines().into_iter().map(|line| line.body).collect();
        assert_eq!((receiver.lines().len(), distinct.len()), (2 * LINES, 2 * LINES));
        let queue: Value = serde_json::from_str(&env.ok(&["queue", "--json"])).unwrap();
        let counters = queue["counters"].as_object().unwrap();
        assert_eq!(counters["delivered.logs"], 2 * LINES + receiver.events().len());
        assert!(!counters.keys().any(|name| name.starts_with("dropped.")), "{counters:?}");
    }
}

/// Guarantees: if the data folder cannot be created, the agent still starts and delivers
/// metrics from memory.
#[test]
fn agent_runs_when_data_folder_is_not_writable() {
    let receiver = Receiver::start();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    // A file in its place also keeps root from creating it.
    fs::write(env.data(), "not a folder").unwrap();
    let agent = env.start();
    wait_for("metrics", || (receiver.metrics() >= 3).then_some(()));
    assert!(agent.stop());
    let said = env.agent_log();
    assert!(said.contains("failed to write to the data folder"), "{said}");
    assert!(said.contains("queue.db cannot be written"), "{said}");
}
