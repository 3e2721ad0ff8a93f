//! Shutdown requests of the operating system: Ctrl-C, `SIGTERM`, a closed window, the end of the
//! session.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::shutdown_signal;
#[cfg(windows)]
pub use windows::{register_restart_after_update, shutdown_signal};
