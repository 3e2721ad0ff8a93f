//! Detects crashes of native apps by their exit codes. On Windows, any process that opened another
//! one before its end can read its exit code. On other systems only the parent can.

use std::collections::HashMap;

/// Processes whose exit code will be read.
#[derive(Debug, Default)]
#[cfg_attr(not(windows), allow(clippy::zero_sized_map_values, reason = "there is nothing to hold elsewhere"))]
pub(super) struct ExitCodes {
    open: HashMap<u32, platform::Process>,
}

impl ExitCodes {
    /// Watches a process from now on.
    pub(super) fn watch(&mut self, pid: u32) {
        if !self.open.contains_key(&pid)
            && let Some(process) = platform::Process::open(pid)
        {
            self.open.insert(pid, process);
        }
    }

    /// Returns whether an ended process was terminated because of an error that the system
    /// detected; false if unknown.
    pub(super) fn crashed(&mut self, pid: u32) -> bool {
        self.open.remove(&pid).and_then(|process| process.exit_code()).is_some_and(is_crash)
    }
}

/// Returns whether an exit code has the severity "error" of NTSTATUS ([MS-ERREF] 2.3). The system
/// assigns such a code when it terminates a process because of a fault: access violation, stack
/// overrun, unhandled exception. Codes chosen by programs are not meaningful: some exit with 1
/// after success.
const fn is_crash(code: u32) -> bool {
    code >> 30 == 3 && code != CONTROL_C && code != LOGOFF_DURING_START
}

/// `STATUS_CONTROL_C_EXIT`: terminated by a person.
const CONTROL_C: u32 = 0xC000_013A;
/// `STATUS_DLL_INIT_FAILED_LOGOFF`: started while the session was ending.
const LOGOFF_DURING_START: u32 = 0xC000_026B;

#[cfg(windows)]
#[allow(unsafe_code)]
mod platform {
    use windows::Win32::Foundation::{HANDLE, STILL_ACTIVE};
    use windows::Win32::System::Threading::{GetExitCodeProcess, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION};
    use windows::core::Owned;

    #[derive(Debug)]
    pub(super) struct Process(Owned<HANDLE>);

    // SAFETY: a process handle can be used and closed by any thread.
    unsafe impl Send for Process {}

    impl Process {
        /// Opens a process with the least possible access right, so that security products do not
        /// notice it.
        pub(super) fn open(pid: u32) -> Option<Self> {
            // SAFETY: the handle belongs to this value alone and is closed once, by `Owned`.
            unsafe {
                OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, false, pid).ok().map(|handle| Self(Owned::new(handle)))
            }
        }

        /// Returns the exit code; none while the process runs.
        pub(super) fn exit_code(&self) -> Option<u32> {
            let mut code = 0;
            // SAFETY: the handle is open, and `code` lives through the call.
            unsafe { GetExitCodeProcess(*self.0, &raw mut code) }.ok()?;
            (code != STILL_ACTIVE.0.cast_unsigned()).then_some(code)
        }
    }
}

#[cfg(not(windows))]
mod platform {
    #[derive(Debug)]
    pub(super) struct Process;

    impl Process {
        pub(super) const fn open(_: u32) -> Option<Self> {
            None
        }

        #[allow(clippy::unused_self, reason = "on Windows it is used")]
        pub(super) const fn exit_code(&self) -> Option<u32> {
            None
        }
    }
}

#[cfg(test)]
mod tests;
