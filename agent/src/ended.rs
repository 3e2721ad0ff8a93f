//! How the system asks a program to end: Ctrl-C, `SIGTERM`, a closed window, the end of the session.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::ended;
#[cfg(windows)]
pub use windows::{ended, start_again_after_update};
