//! The desktop as the operating system shows it: the outer edge of the focus source.

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

/// A window on the desktop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Window {
    /// The window id of the system. It may be reused after the window has closed.
    pub(super) id: u64,
    /// The owning process; 0 if unknown.
    pub(super) pid: u32,
    /// The title. It is used only to name the app.
    pub(super) title: String,
    /// The window class.
    pub(super) class: String,
}

/// Whether the user is at the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// The user may be there; the last input was this long ago.
    Present(Duration),
    /// The user cannot be there, or it is unknown.
    Absent(SessionState),
}

/// The state of the desktop at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DesktopSnapshot {
    /// Whether the user is there.
    pub(super) presence: Presence,
    /// The window in the foreground.
    pub(super) foreground: Option<Window>,
    /// Whether that window has stopped responding.
    pub(super) hangs: bool,
}

/// Why a wait ended. Ordered: a later one implies more work than an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wakeup {
    /// The timeout has passed.
    Timeout,
    /// Something may have changed.
    Changed,
    /// Windows were opened or closed.
    WindowsChanged,
    /// The source is shutting down.
    Shutdown,
}

/// A desktop. It is opened and used by a single thread.
pub(super) trait Desktop {
    /// Waits for a change. While the user is idle, the next input counts as a change.
    fn wait(&mut self, timeout: Duration, is_idle: bool) -> Wakeup;
    /// Takes a snapshot.
    fn snapshot(&mut self) -> DesktopSnapshot;
    /// Returns the windows that are visible to the user, and those of `known` that exist but are
    /// hidden.
    fn windows(&mut self, known: &[u64]) -> Vec<Window>;
    /// Returns why the desktop cannot be observed, if so.
    fn problem(&self) -> Option<&str>;
}

/// Ends a wait, from any thread.
pub(super) type Waker = Box<dyn Fn() + Send>;

/// Opens the desktop of this session.
pub(super) fn open() -> (Box<dyn Desktop>, Waker) {
    match platform() {
        Ok(opened) => opened,
        Err(reason) => {
            let (sender, shutdown) = mpsc::channel();
            let waker = Box::new(move || {
                // Fails if the receiver has already been dropped.
                let _ = sender.send(());
            });
            (Box::new(NoDesktop { reason, shutdown }), waker)
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
        return Err("Wayland does not report which window is in the foreground".to_owned());
    }
    if !is_set("DISPLAY") {
        return Err("there is no display".to_owned());
    }
    x11::open().map_err(|error| format!("the display cannot be used: {error}"))
}

#[cfg(not(any(windows, target_os = "linux")))]
fn platform() -> Result<(Box<dyn Desktop>, Waker), String> {
    Err("the desktop of this operating system is not supported".to_owned())
}

/// A desktop that cannot be observed.
#[derive(Debug)]
struct NoDesktop {
    reason: String,
    shutdown: Receiver<()>,
}

impl Desktop for NoDesktop {
    fn wait(&mut self, timeout: Duration, _: bool) -> Wakeup {
        match self.shutdown.recv_timeout(timeout) {
            Err(RecvTimeoutError::Timeout) => Wakeup::Timeout,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Wakeup::Shutdown,
        }
    }

    fn snapshot(&mut self) -> DesktopSnapshot {
        DesktopSnapshot { presence: Presence::Absent(SessionState::Unknown), foreground: None, hangs: false }
    }

    fn windows(&mut self, _: &[u64]) -> Vec<Window> {
        Vec::new()
    }

    fn problem(&self) -> Option<&str> {
        Some(&self.reason)
    }
}
