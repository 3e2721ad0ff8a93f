//! How native apps end: on Windows the exit code of a process can be asked for by whoever has had it open. Elsewhere only
//! its parent learns it.

use std::collections::HashMap;

/// Processes whose end is awaited.
#[derive(Debug, Default)]
#[cfg_attr(not(windows), allow(clippy::zero_sized_map_values, reason = "there is nothing to hold elsewhere"))]
pub(super) struct Exits {
    open: HashMap<u32, platform::Process>,
}

impl Exits {
    /// Watches a process, from now on.
    pub(super) fn watch(&mut self, pid: u32) {
        if !self.open.contains_key(&pid)
            && let Some(process) = platform::Process::open(pid)
        {
            self.open.insert(pid, process);
        }
    }

    /// Whether a process that has ended was ended by an error that the system saw. False if that is not known.
    pub(super) fn crashed(&mut self, pid: u32) -> bool {
        self.open.remove(&pid).and_then(|process| process.exit_code()).is_some_and(is_crash)
    }
}

/// Codes of severity "error" of NTSTATUS ([MS-ERREF] 2.3), which the system gives a process that it ends because of a
/// fault: access violation, stack overrun, unhandled exception. What programs choose themselves says nothing: some end
/// with 1 when all is well.
const fn is_crash(code: u32) -> bool {
    code >> 30 == 3 && code != CONTROL_C && code != CANNOT_START
}

/// `STATUS_CONTROL_C_EXIT`: somebody ended it.
const CONTROL_C: u32 = 0xC000_013A;
/// `STATUS_DLL_INIT_FAILED_LOGOFF`: it was started while the session ended.
const CANNOT_START: u32 = 0xC000_026B;

#[cfg(windows)]
#[allow(unsafe_code)]
mod platform {
    use windows::Win32::Foundation::{HANDLE, STILL_ACTIVE};
    use windows::Win32::System::Threading::{GetExitCodeProcess, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION};
    use windows::core::Owned;

    #[derive(Debug)]
    pub(super) struct Process(Owned<HANDLE>);

    // SAFETY: a handle of a process can be used and closed by any thread.
    unsafe impl Send for Process {}

    impl Process {
        /// With the least right there is, so that security products need not take notice.
        pub(super) fn open(pid: u32) -> Option<Self> {
            // SAFETY: the handle is this value's alone, and closed once, by `Owned`.
            unsafe {
                OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, false, pid).ok().map(|handle| Self(Owned::new(handle)))
            }
        }

        /// None while it runs.
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
