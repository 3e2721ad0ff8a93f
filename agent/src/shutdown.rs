//! How the system asks a program to end: Ctrl-C, `SIGTERM`, a closed window, the end of the session.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::shutdown_signal;
#[cfg(windows)]
pub use windows::{shutdown_signal, start_again_after_update};
