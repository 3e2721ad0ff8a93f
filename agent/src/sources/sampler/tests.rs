//! Scenario: a sampler thread misses steps, repeats and ends.

use std::sync::mpsc::channel;

use super::*;

/// After an hour of sleep, or a step that took too long, there is one next step an interval from
/// now, not hundreds.
#[test]
fn missed_steps_are_skipped() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let interval = Duration::from_secs(5);
    assert_eq!(next_due(at(0), at(1), interval), at(5), "no drift from the duration of a step");
    assert_eq!(next_due(at(5), at(9), interval), at(10));
    assert_eq!(next_due(at(10), at(3610), interval), at(3615));
    assert_eq!(next_due(at(10), at(15), interval), at(20), "a step that is due right now counts as missed");
}

/// The first step runs immediately, and dropping the owner ends the thread although the next step
/// is an hour away.
#[test]
fn drop_ends_thread_immediately() {
    let (sender, steps) = channel();
    let sampler = Sampler::start("test", Duration::from_hours(1), move || sender.send(()).unwrap()).unwrap();
    steps.recv_timeout(Duration::from_mins(1)).unwrap();
    drop(sampler);
    assert!(steps.try_recv().is_err(), "the thread has ended and dropped the sender of the step");
    assert!(steps.recv().is_err());
}

/// Steps repeat by themselves.
#[test]
fn steps_repeat_by_themselves() {
    let (sender, steps) = channel();
    let _sampler = Sampler::start("test", Duration::from_millis(1), move || _ = sender.send(())).unwrap();
    for _ in 0..5 {
        steps.recv_timeout(Duration::from_mins(1)).unwrap();
    }
}
