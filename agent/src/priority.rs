//! Out of the way of whoever works at the machine: the agent runs at low priority, and while it works off a backlog of
//! log files its reader lowers that of its disk accesses too. None of it costs anything on a machine that has time.

/// Lowers the priority of this program. For its begin: threads take over the priority of the one that starts them.
///
/// On Linux nice 10, from which the kernel derives the priority of disk accesses (`ioprio_set(2)`); on Windows the class
/// "below normal".
pub fn lower() {
    if let Err(error) = platform::lower() {
        tracing::debug!(%error, "the priority could not be lowered");
    }
}

/// Whether a thread works in the background.
#[derive(Debug, Default)]
pub struct Background {
    is_on: bool,
}

impl Background {
    /// Switches for the thread that calls this.
    pub fn set(&mut self, on: bool) {
        if on == self.is_on {
            return;
        }
        self.is_on = on;
        if let Err(error) = platform::background(on) {
            tracing::debug!(%error, "the priority of a thread could not be changed");
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    /// Half of what there is: still ahead of what runs only on idle machines.
    const NICE: i32 = 10;

    pub(super) fn lower() -> io::Result<()> {
        Ok(rustix::process::setpriority_process(None, NICE)?)
    }

    /// What is nice already cannot become less so without privileges.
    #[allow(clippy::unnecessary_wraps, reason = "it is one that can fail on Windows")]
    pub(super) fn background(_: bool) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(windows)]
#[allow(unsafe_code)]
mod platform {
    use std::io;

    use windows::Win32::System::Threading::{
        BELOW_NORMAL_PRIORITY_CLASS, GetCurrentProcess, GetCurrentThread, SetPriorityClass, SetThreadPriority,
        THREAD_MODE_BACKGROUND_BEGIN, THREAD_MODE_BACKGROUND_END,
    };

    pub(super) fn lower() -> io::Result<()> {
        // SAFETY: the handle of the own process is always valid and need not be closed.
        Ok(unsafe { SetPriorityClass(GetCurrentProcess(), BELOW_NORMAL_PRIORITY_CLASS) }?)
    }

    pub(super) fn background(on: bool) -> io::Result<()> {
        let mode = if on { THREAD_MODE_BACKGROUND_BEGIN } else { THREAD_MODE_BACKGROUND_END };
        // SAFETY: the handle of the own thread is always valid and need not be closed.
        Ok(unsafe { SetThreadPriority(GetCurrentThread(), mode) }?)
    }
}
