//! Scenario: foreground windows respond to pings, or do not.

use std::time::Instant;

use super::{HANG_TIMEOUT, PING_INTERVAL, Ping, PingAction};

/// Guarantees: a window is pinged once, pinged again only some time after its response, and hangs
/// once the response is overdue. Another window in the foreground does not hang.
#[test]
fn window_without_response_hangs() {
    let (mut ping, start) = (Ping::default(), Instant::now());
    assert_eq!(ping.set_foreground(None, start), PingAction::None);
    assert_eq!(ping.set_foreground(Some(1), start), PingAction::Send);
    assert_eq!(ping.set_foreground(Some(1), start), PingAction::None);
    assert!(!ping.record_response(2, start), "it was not pinged");
    assert!(ping.record_response(1, start));
    assert_eq!(ping.set_foreground(Some(1), start), PingAction::None, "it has just responded");
    assert_eq!(ping.set_foreground(Some(1), start + PING_INTERVAL), PingAction::Send);
    assert!(!ping.hangs(start + PING_INTERVAL));
    assert!(ping.hangs(start + PING_INTERVAL + HANG_TIMEOUT));
    assert_eq!(ping.set_foreground(Some(2), start + PING_INTERVAL + HANG_TIMEOUT), PingAction::Cancel);
    assert!(!ping.hangs(start + PING_INTERVAL + HANG_TIMEOUT));
    assert_eq!(ping.set_foreground(Some(2), start + PING_INTERVAL + HANG_TIMEOUT), PingAction::Send);
}
