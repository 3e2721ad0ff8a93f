use std::time::Instant;

use super::{Do, PATIENCE, PAUSE, Ping};

/// Guarantees: a window is asked once, asked again only a while after its answer, and hangs once it has taken too long;
/// another window in front is none that hangs.
#[test]
fn a_window_that_does_not_answer_hangs() {
    let (mut ping, start) = (Ping::default(), Instant::now());
    assert_eq!(ping.front(None, start), Do::Nothing);
    assert_eq!(ping.front(Some(1), start), Do::Ask);
    assert_eq!(ping.front(Some(1), start), Do::Nothing);
    assert!(!ping.answer(2, start), "nobody has asked it");
    assert!(ping.answer(1, start));
    assert_eq!(ping.front(Some(1), start), Do::Nothing, "it has just answered");
    assert_eq!(ping.front(Some(1), start + PAUSE), Do::Ask);
    assert!(!ping.hangs(start + PAUSE));
    assert!(ping.hangs(start + PAUSE + PATIENCE));
    assert_eq!(ping.front(Some(2), start + PAUSE + PATIENCE), Do::Forget);
    assert!(!ping.hangs(start + PAUSE + PATIENCE));
    assert_eq!(ping.front(Some(2), start + PAUSE + PATIENCE), Do::Ask);
}
