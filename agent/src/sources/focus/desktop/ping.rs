//! Detects a foreground window that has stopped responding, by `_NET_WM_PING` (Extended Window
//! Manager Hints 1.5).

use std::time::{Duration, Instant};

/// Maximum time for a response. Windows uses the same limit before it reports an app as hung.
const HANG_TIMEOUT: Duration = Duration::from_secs(5);
/// Minimum time between a response and the next ping.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PingAction {
    /// Nothing.
    None,
    /// Send a ping to the foreground window.
    Send,
    /// Stop waiting for the response of another window.
    Cancel,
}

/// The pending ping and the last response.
#[derive(Debug, Default)]
pub(super) struct Ping {
    pending: Option<(u32, Instant)>,
    responded_at: Option<Instant>,
}

impl Ping {
    /// Sets the foreground window and returns what to do.
    pub(super) fn set_foreground(&mut self, window: Option<u32>, now: Instant) -> PingAction {
        match (self.pending, window) {
            (Some((pending, _)), foreground) if Some(pending) != foreground => {
                self.pending = None;
                PingAction::Cancel
            }
            (Some(_), _) | (None, None) => PingAction::None,
            (None, Some(_)) if self.responded_at.is_some_and(|at| now.duration_since(at) < PING_INTERVAL) => {
                PingAction::None
            }
            (None, Some(window)) => {
                self.pending = Some((window, now));
                PingAction::Send
            }
        }
    }

    /// Records the response of a window. Returns whether a ping to that window was pending.
    pub(super) fn record_response(&mut self, window: u32, now: Instant) -> bool {
        let is_pending = self.pending.is_some_and(|(pending, _)| pending == window);
        if is_pending {
            (self.pending, self.responded_at) = (None, Some(now));
        }
        is_pending
    }

    /// Returns whether the response of the foreground window is overdue.
    pub(super) fn hangs(&self, now: Instant) -> bool {
        self.pending.is_some_and(|(_, at)| now.duration_since(at) >= HANG_TIMEOUT)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
