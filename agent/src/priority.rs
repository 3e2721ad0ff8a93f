//! Process and thread priority: the agent runs at low priority, so that the user's programs come
//! first. While the log reader works on a backlog it lowers its disk priority too. On an idle
//! machine this costs nothing.

/// Lowers the priority of this program. Call it first, because threads inherit the priority of
/// their creator.
///
/// On Linux nice 10, from which the kernel derives the priority of disk accesses (`ioprio_set(2)`);
/// on Windows the class "below normal".
pub fn lower() {
    if let Err(error) = platform::lower() {
        tracing::debug!("failed to lower the priority: {error:#}");
    }
}

/// Whether a thread runs in background mode.
#[derive(Debug, Default)]
pub struct Background {
    is_on: bool,
}

impl Background {
    /// Switches background mode of the calling thread on or off.
    pub fn set(&mut self, on: bool) {
        if on == self.is_on {
            return;
        }
        self.is_on = on;
        if let Err(error) = platform::background(on) {
            tracing::debug!("failed to change the priority of a thread: {error:#}");
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    /// Half of the range: still ahead of programs that run only on idle machines.
    const NICE: i32 = 10;

    pub(super) fn lower() -> io::Result<()> {
        Ok(rustix::process::setpriority_process(None, NICE)?)
    }

    /// Without privileges a thread cannot raise its priority again, so it is not lowered further.
    #[allow(clippy::unnecessary_wraps, reason = "fails on Windows only")]
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
