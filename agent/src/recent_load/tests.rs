//! Scenario: samples over minutes, sleep and clock changes.

use super::*;
use crate::ioconnect::processes::Role;
use crate::sources::processes::RoleFigures;

const GIB: u64 = 1 << 30;

fn host(cpu: f64) -> HostFigures {
    HostFigures { cpu: Some(cpu), memory: Some(Space { used: 4 * GIB, total: 16 * GIB }), ..HostFigures::default() }
}

fn platform(cpu_seconds: u64) -> ProcessFigures {
    let cpu_time = Duration::from_secs(cpu_seconds);
    let main = RoleFigures { count: 1, memory: GIB, cpu_time };
    ProcessFigures { roles: [(Role::Main, main)].into() }
}

/// Guarantees: a minute is the mean of its samples; io.Connect's share refers to the whole machine.
#[test]
fn samples_of_a_minute_are_averaged() {
    let mut recorder = LoadRecorder::default();
    recorder.add(60_000, &host(0.2), &platform(100), 4);
    recorder.add(70_000, &host(0.4), &platform(120), 4);
    let hour = recorder.last_hour();
    assert_eq!(hour.memory_total, Some(16 * GIB));
    let [minute] = hour.minutes[..] else { panic!("one minute, not {hour:?}") };
    assert_eq!((minute.unix_ms, minute.memory, minute.connect_memory), (60_000, Some(0.25), Some(GIB)));
    assert!((minute.cpu.unwrap() - 0.3).abs() < 1e-9);
    assert!((minute.connect_cpu.unwrap() - 0.5).abs() < 1e-9);
}

/// Guarantees: sleep leaves a gap without a CPU share.
#[test]
fn sleep_leaves_a_gap() {
    let mut recorder = LoadRecorder::default();
    recorder.add(0, &host(0.1), &platform(0), 1);
    recorder.add(600_000, &host(0.1), &platform(500), 1);
    let minutes = recorder.last_hour().minutes;
    assert_eq!(minutes.iter().map(|minute| minute.unix_ms).collect::<Vec<_>>(), [0, 600_000]);
    assert_eq!(minutes[1].connect_cpu, None);
}

/// Guarantees: at most an hour, in order, also when the clock is set back.
#[test]
fn history_never_exceeds_an_hour() {
    let mut recorder = LoadRecorder::default();
    for minute in (0..200).chain(100..150) {
        recorder.add(minute * MINUTE, &host(0.1), &ProcessFigures::default(), 1);
    }
    let minutes = recorder.last_hour().minutes;
    assert_eq!(minutes.last().unwrap().unix_ms, 149 * MINUTE);
    assert!(minutes.len() <= MINUTES && minutes.is_sorted_by_key(|minute| minute.unix_ms));
    assert!(minutes.first().unwrap().unix_ms > 89 * MINUTE);
    assert_eq!(minutes[0].connect_memory, None);
}
