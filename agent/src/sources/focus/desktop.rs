//! What the system tells of the desktop: the edge of the focus source.

#[cfg(windows)]
mod display;
#[cfg(target_os = "linux")]
mod logind;
#[cfg(target_os = "linux")]
mod ping;
#[cfg(windows)]
mod windows;
#[cfg(target_os = "linux")]
mod x11;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::session::SessionState;

/// A window on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Window {
    /// The system's number of it, which another one can get once it is gone.
    pub(super) id: u64,
    /// Process that it belongs to; 0 if that is not known.
    pub(super) pid: u32,
    /// Its title. It goes no further than to the naming of apps.
    pub(super) title: String,
    /// Its class.
    pub(super) class: String,
}

/// Who is at the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Somebody may be; the last input was so long ago.
    Here(Duration),
    /// Nobody can be, or nobody knows.
    Away(SessionState),
}

/// A look at the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// Who is there.
    pub(super) presence: Presence,
    /// The window in front.
    pub(super) front: Option<Window>,
    /// Whether that one has stopped to answer.
    pub(super) hangs: bool,
}

/// Why a wait is over; later ones say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// Nothing.
    Nothing,
    /// Something may have changed.
    Changed,
    /// Windows came or went.
    Windows,
    /// The source ends.
    Ended,
}

/// A desktop. It is opened and used by one thread.
pub(super) trait Desktop {
    /// Waits for a change. While the user is idle, the next input is one.
    fn wait(&mut self, limit: Duration, is_idle: bool) -> Wake;
    /// Looks.
    fn look(&mut self) -> Look;
    /// The windows that people see as such. Those of `known` that exist are among them also while they are hidden.
    fn windows(&mut self, known: &[u64]) -> Vec<Window>;
    /// Why nothing can be seen, if so.
    fn problem(&self) -> Option<&str>;
}

/// Ends a wait, from any thread.
pub(super) type Waker = Box<dyn Fn() + Send>;

/// Opens the desktop of this session.
pub(super) fn open() -> (Box<dyn Desktop>, Waker) {
    match platform() {
        Ok(opened) => opened,
        Err(why) => {
            let (sender, ended) = mpsc::channel();
            let waker = Box::new(move || {
                // Nobody may be waiting any more.
                let _ = sender.send(());
            });
            (Box::new(Nowhere { why, ended }), waker)
        }
    }
}

#[cfg(windows)]
fn platform() -> Result<(Box<dyn Desktop>, Waker), String> {
    windows::open()
}

#[cfg(target_os = "linux")]
fn platform() -> Result<(Box<dyn Desktop>, Waker), String> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let session = std::env::var("XDG_SESSION_TYPE").unwrap_or_default();
    if session == "wayland" || (is_set("WAYLAND_DISPLAY") && session != "x11") {
        return Err("Wayland does not tell which window is in front".to_owned());
    }
    if !is_set("DISPLAY") {
        return Err("there is no display".to_owned());
    }
    x11::open().map_err(|error| format!("the display cannot be used: {error}"))
}

#[cfg(not(any(windows, target_os = "linux")))]
fn platform() -> Result<(Box<dyn Desktop>, Waker), String> {
    Err("this system's desktop is not known".to_owned())
}

/// No desktop.
#[derive(Debug)]
struct Nowhere {
    why: String,
    ended: Receiver<()>,
}

impl Desktop for Nowhere {
    fn wait(&mut self, limit: Duration, _: bool) -> Wake {
        match self.ended.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => Wake::Nothing,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Wake::Ended,
        }
    }

    fn look(&mut self) -> Look {
        Look { presence: Presence::Away(SessionState::Unknown), front: None, hangs: false }
    }

    fn windows(&mut self, _: &[u64]) -> Vec<Window> {
        Vec::new()
    }

    fn problem(&self) -> Option<&str> {
        Some(&self.why)
    }
}
