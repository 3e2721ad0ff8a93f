//! How the system asks a program to end: Ctrl-C, `SIGTERM`, the end of the session, a window that is closed.

#[cfg(windows)]
mod window;

use std::io;

/// Completes when the program is asked to end; listens from this call on.
///
/// # Errors
/// When the system does not let it listen.
#[cfg(unix)]
pub fn ended() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Completes when the program is asked to end; listens from this call on. To be called once.
///
/// # Errors
/// When the system does not let it listen.
#[cfg(windows)]
pub fn ended() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows;
    window::listen()?;
    let mut interrupt = windows::ctrl_c()?;
    let mut close = windows::ctrl_close()?;
    // A program without windows gets the end of a session like this, as long as it does not load user32.dll.
    let mut logoff = windows::ctrl_logoff()?;
    let mut shutdown = windows::ctrl_shutdown()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
            () = window::asked() => {}
        }
    })
}
