//! Scenario: a status is judged and displayed.

use super::*;
use crate::ioconnect::processes::Role;
use crate::pipeline::exporter::Problem;
use crate::pipeline::queue::{QuarantineReason, QuarantinedFile};
use crate::session::SessionState;
use crate::sources::host::Space;
use crate::sources::processes::RoleFigures;

const NOW: i64 = 10_000_000;

pub(crate) fn snapshot() -> Status {
    Status {
        version: "1.2.3".to_owned(),
        process_id: 4711,
        started_unix_ms: NOW - 3_600_000,
        taken_unix_ms: NOW,
        data_dir: "/home/desk/.local/share/insights-agent".to_owned(),
        health: Health::Starting,
        sentence: String::new(),
        collector: CollectorStatus {
            endpoint: "https://collector.example.com:4317".to_owned(),
            protocol: "grpc".to_owned(),
            ..CollectorStatus::default()
        },
        queue: QueueStats::default(),
        queue_is_known: true,
        saving: None,
        saving_interval_ms: 300_000,
        logs: LogsStatus::default(),
        host: HostFigures::default(),
        processes: ProcessFigures::default(),
        focus: FocusFigures {
            state: Some(SessionState::Active),
            app: Some("orders".to_owned()),
            active_milliseconds_today: 62 * 60_000,
            problem: None,
        },
        receiver: Some(ReceiverStatus {
            http: Some("http://127.0.0.1:4318".to_owned()),
            grpc: Some("http://127.0.0.1:4317".to_owned()),
            taken: [(Signal::Traces, 3)].into(),
            not_shared: 2,
            sampled_out: 0,
            refused: [("origin".to_owned(), 1)].into(),
            refused_origin: Some("https://example.com".to_owned()),
            problem: None,
        }),
        paused_until_unix_ms: None,
        policy: PolicySettings::default(),
        consent: Consent::default(),
        problems: Vec::new(),
    }
}

fn acknowledged(ago_ms: i64) -> Delivery {
    Delivery { acknowledged_unix_ms: Some(NOW - ago_ms), acknowledged_items: 12, ..Delivery::default() }
}

fn troubled(state: LaneState) -> Delivery {
    let problem = Problem { at_unix_ms: NOW, sentence: "It is broken.".to_owned(), again_unix_ms: Some(NOW + 30_000) };
    Delivery { state, problem: Some(problem), ..Delivery::default() }
}

/// Guarantees: the health follows the acknowledgements. A lane on hold takes precedence over one
/// that retries.
#[test]
fn health_follows_acknowledgements() {
    let mut status = snapshot();
    assert_eq!(judge(&status).0, Health::Starting);

    status.collector.metrics = acknowledged(4_000);
    assert_eq!(judge(&status), (Health::Delivering, "Connected. Last delivery 4 seconds ago.".to_owned()));

    status.collector.logs = troubled(LaneState::Retrying);
    (status.queue.logs.batches, status.queue.logs.items) = (1, 3);
    assert_eq!(judge(&status), (Health::Buffering, "It is broken. 3 items waiting to be sent.".to_owned()));

    status.collector.traces = troubled(LaneState::Held);
    assert_eq!(judge(&status), (Health::Attention, "It is broken.".to_owned()), "a lane on hold takes precedence");
}

/// Guarantees: queued data that is too old means `buffering`, even if no lane reports a problem.
#[test]
fn health_is_buffering_when_queued_data_is_old() {
    let mut status = snapshot();
    status.collector.metrics = acknowledged(600_000);
    assert_eq!(judge(&status).0, Health::Delivering, "the queue is empty");
    status.queue.metrics.batches = 1;
    status.queue.metrics.oldest_unix_ms = Some(NOW - 500_000);
    assert_eq!(judge(&status).0, Health::Buffering);
}

/// Guarantees: invalid settings, and data that the collector rejected, need attention.
#[test]
fn health_is_attention_when_settings_are_invalid_or_data_is_rejected() {
    let mut status = snapshot();
    status.collector.metrics = acknowledged(1_000);
    status.collector.logs = troubled(LaneState::Working);
    assert_eq!(judge(&status).0, Health::Attention);

    let mut status = snapshot();
    status.collector.metrics = acknowledged(1_000);
    status.problems = vec!["\"soon\" is no number\n --> environment variable X\n  = help: write one".to_owned()];
    let sentence = "A setting is wrong: \"soon\" is no number (environment variable X).";
    assert_eq!(judge(&status), (Health::Attention, sentence.to_owned()));
}

/// Guarantees: the page of `insights-agent status` has this text.
#[test]
fn status_page_shows_all_parts() {
    let mut status = snapshot();
    status.collector.metrics = acknowledged(4_000);
    status.collector.logs = Delivery { rejected_items: 2, ..troubled(LaneState::Retrying) };
    status.queue.logs = crate::pipeline::queue::SignalStats {
        batches: 2,
        items: 310,
        bytes: 48_000,
        oldest_unix_ms: Some(NOW - 200_000),
    };
    status.queue.counters = [("delivered.metrics".to_owned(), 12), ("dropped.metrics.full".to_owned(), 5)].into();
    status.queue.quarantined = vec![QuarantinedFile {
        path: "/home/desk/.local/share/insights-agent/queue.db.damaged-1".into(),
        reason: QuarantineReason::Damaged,
        at_unix_ms: NOW - 3_600_000,
        bytes: 1_200_000,
    }];
    status.queue.problems = vec!["The disk is full.".to_owned()];
    status.logs.shared = LogKind::ALL.to_vec();
    status.logs.reading = LogStatus { files: 3, records: 310, ..LogStatus::default() };
    let memory = Some(Space { used: 9 << 30, total: 16 << 30 });
    status.host = HostFigures { cpu: Some(0.21), memory, ..HostFigures::default() };
    let main = RoleFigures { count: 1, memory: 200 << 20, ..RoleFigures::default() };
    let renderer = RoleFigures { count: 8, memory: 824 << 20, ..RoleFigures::default() };
    status.processes.roles = [(Role::Main, main), (Role::Renderer, renderer)].into();
    (status.health, status.sentence) = judge(&status);
    insta::assert_snapshot!(page(&status), @r#"
    Insights    The disk is full.
    Collector   https://collector.example.com:4317 (grpc)
      metrics   12 items delivered, last 4 seconds ago
      traces    nothing delivered yet
      logs      nothing delivered yet, 2 rejected by the collector, 310 items waiting in 2 requests
                It is broken. Next try in 30 seconds.
    Queue       2 requests, 46.9 KiB, oldest queued 3 minutes ago
                dropped.metrics.full: 5
                a damaged queue file was quarantined, 60 minutes ago: /home/desk/.local/share/insights-agent/queue.db.damaged-1
    Logs        sharing platform and applications: following 3 files, 310 records read, 0 B behind
    Machine     CPU 21 %, memory 9.0 GiB of 16.0 GiB
    io.Connect  running, 9 processes, memory 1.0 GiB
    Session     active, using orders, active for 62 minutes today
    Receiver    http://127.0.0.1:4318 (HTTP), http://127.0.0.1:4317 (gRPC): 3 items accepted, 2 log records dropped because application logs are not shared, 1 request rejected
                rejected web pages of https://example.com; to accept them, add it to receiver.allowed_origins
    Problem     The disk is full.
    Agent       1.2.3, process 4711, running for 60 minutes
    Data        /home/desk/.local/share/insights-agent
    "#);
}

/// Guarantees: a pause takes precedence over every problem, because the user has chosen it.
#[test]
fn health_is_paused_whatever_else_is_wrong() {
    let mut status = snapshot();
    status.collector.metrics = troubled(LaneState::Held);
    status.paused_until_unix_ms = Some(NOW + 3_600_000);
    let (health, sentence) = judge(&status);
    assert_eq!(health, Health::Paused);
    assert!(sentence.starts_with("Paused until ") && sentence.ends_with(". Nothing is measured or sent."));
}

#[test]
fn pause_that_ends_on_another_day_shows_its_date() {
    let mut status = snapshot();
    status.paused_until_unix_ms = Some(NOW + 48 * 3_600_000);
    let until = Timestamp::from_millisecond(NOW + 48 * 3_600_000).unwrap().to_zoned_datetime(TimeZone::system());
    let expected = format!("Paused until {}. Nothing is measured or sent.", until.strftime("%Y-%m-%d %H:%M"));
    assert_eq!(judge(&status).1, expected);
}

/// Guarantees: programs that read the status JSON of commit b1cd424 find every field, with the same
/// value. The status of a running agent of that commit is parsed and written again.
#[test]
fn status_json_of_earlier_version_is_unchanged() {
    let earlier: serde_json::Value =
        serde_json::from_str(include_str!("../../testdata/data-b1cd424/status.json")).unwrap();
    let status: Status = serde_json::from_value(earlier.clone()).unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap(), earlier);
}
