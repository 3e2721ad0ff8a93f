//! Whether the window in front still answers, by `_NET_WM_PING` (Extended Window Manager Hints 1.5).

use std::time::{Duration, Instant};

/// How long a window may take to answer: what Windows allows before it calls an app hung.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after an answer it is asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// What is to be done about a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Do {
    /// Nothing.
    Nothing,
    /// Ask it.
    Ask,
    /// Do not wait for the answer of another one any longer.
    Forget,
}

/// Who was asked, and when.
#[derive(Debug, Default)]
pub(super) struct Ping {
    asked: Option<(u32, Instant)>,
    answered: Option<Instant>,
}

impl Ping {
    /// This window is in front.
    pub(super) fn front(&mut self, window: Option<u32>, now: Instant) -> Do {
        match (self.asked, window) {
            (Some((asked, _)), front) if Some(asked) != front => {
                self.asked = None;
                Do::Forget
            }
            (Some(_), _) | (None, None) => Do::Nothing,
            (None, Some(_)) if self.answered.is_some_and(|at| now.duration_since(at) < PAUSE) => Do::Nothing,
            (None, Some(window)) => {
                self.asked = Some((window, now));
                Do::Ask
            }
        }
    }

    /// A window has answered. True if it is the one that was asked.
    pub(super) fn answer(&mut self, window: u32, now: Instant) -> bool {
        let is_it = self.asked.is_some_and(|(asked, _)| asked == window);
        if is_it {
            (self.asked, self.answered) = (None, Some(now));
        }
        is_it
    }

    /// Whether the window in front takes too long.
    pub(super) fn hangs(&self, now: Instant) -> bool {
        self.asked.is_some_and(|(_, at)| now.duration_since(at) >= PATIENCE)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
