//! The agent's process, and the faults that are applied to it from outside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::files::Key;
use test_support::test_env::{Running, TestEnv, program, wrapped};
use test_support::wait_for;

/// The agent exited by itself.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Its exit status.
    pub status: ExitStatus,
    /// The exit is allowed: the agent could not start on a full disk, and reported that.
    pub disk_was_full: bool,
}

/// Paths of libfaketime on Debian and Ubuntu.
const FAKETIME: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

/// Returns the path of libfaketime, if it is installed.
#[must_use]
pub fn faketime() -> Option<&'static str> {
    FAKETIME.into_iter().find(|path| Path::new(path).exists())
}

/// The agent of a test environment: running, suspended or not started.
#[derive(Debug)]
pub struct Agent {
    running: Option<Running>,
    clock: PathBuf,
    suspended: bool,
    full: bool,
    /// Whether the disk has been full since it was started.
    was_full: bool,
    /// Length of the agents' log when it was started.
    log_start: usize,
}

impl Agent {
    /// Returns an agent that is not started yet.
    #[must_use]
    pub fn new(env: &TestEnv) -> Self {
        let clock = env.folder().join("clock");
        let agent = Self { running: None, clock, suspended: false, full: false, was_full: false, log_start: 0 };
        agent.set_clock(0);
        agent
    }

    /// Starts the agent; returns false if it already runs.
    pub fn start(&mut self, env: &TestEnv) -> bool {
        if self.running.is_some() {
            return false;
        }
        // A limit on file sizes simulates the full disk. The system sends SIGXFSZ for it, which a
        // full disk does not. An ignored signal stays ignored in the program that the shell
        // executes.
        let mut command = wrapped(&env.command(&["run"]), &["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        if let Some(library) = faketime() {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &self.clock);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        }
        self.log_start = env.agent_log().len();
        self.running = Some(env.start_as(command));
        true
    }

    /// Returns whether it runs and is not suspended.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.running.is_some() && !self.suspended
    }

    /// Returns whether its disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Kills the agent; returns false if it does not run.
    pub fn kill(&mut self) -> bool {
        let Some(running) = self.forget() else { return false };
        let id = running.id();
        running.kill();
        clean_up(id);
        true
    }

    /// Asks the agent to shut down, and waits; returns whether it exited with success, or none if
    /// it does not run.
    pub fn stop(&mut self, env: &TestEnv) -> Option<bool> {
        self.resume();
        let was_full = self.was_full;
        let running = self.forget()?;
        let id = running.id();
        let status = running.terminate();
        clean_up(id);
        // The signal ends the program immediately while it starts, and it does not start on a full
        // disk.
        let had_started = env.agent_log().get(self.log_start..).is_some_and(|said| said.contains("agent: started"));
        let may_fail_to_start = status.signal() == Some(Signal::TERM.as_raw()) || was_full && status.code() == Some(1);
        Some(status.success() || !had_started && may_fail_to_start)
    }

    /// Returns how the agent exited, if it exited by itself since the last call.
    pub fn exited(&mut self) -> Option<Exit> {
        let status = self.running.as_mut()?.exited()?;
        let exit = Exit { status, disk_was_full: self.was_full && status.code() == Some(1) };
        clean_up(self.forget()?.id());
        Some(exit)
    }

    /// Suspends the process; returns false if it does not run.
    pub fn suspend(&mut self) -> bool {
        self.wait_for_program();
        self.suspended = self.signal(Signal::STOP);
        self.suspended
    }

    /// Resumes the process; returns false if it does not run.
    pub fn resume(&mut self) -> bool {
        self.suspended = false;
        self.signal(Signal::CONT)
    }

    /// Limits the size of its files, in bytes; none removes the limit. Returns false if it does not
    /// run.
    pub fn limit_files(&mut self, bytes: Option<u64>) -> bool {
        let Some(id) = self.id() else { return false };
        self.wait_for_program();
        prlimit(Some(id), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit that can be set");
        self.full = bytes.is_some();
        self.was_full |= self.full;
        true
    }

    /// Sets the offset of its clock, in seconds.
    pub fn set_clock(&self, seconds: i64) {
        // Renamed into place, because it may be read at any moment.
        let new = self.clock.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("space on the disk");
        fs::rename(new, &self.clock).expect("a file to rename");
    }

    /// Returns whether it has a file open.
    #[must_use]
    pub fn has_open(&self, (volume, index): Key) -> bool {
        let Some(running) = &self.running else { return false };
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", running.id())) else { return false };
        let is_it = |path: PathBuf| fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (volume, index));
        entries.flatten().any(|entry| is_it(entry.path()))
    }

    /// Waits until the shell that ignores the signal has executed the agent.
    fn wait_for_program(&self) {
        let Some(running) = &self.running else { return };
        let name = format!("/proc/{}/comm", running.id());
        let program = program().file_name().expect("a name").to_string_lossy().into_owned();
        // The system keeps the first 15 bytes of a name.
        wait_for("the agent to be started", || {
            let now = fs::read_to_string(&name).ok()?;
            program.starts_with(now.trim_end()).then_some(())
        });
    }

    fn forget(&mut self) -> Option<Running> {
        (self.suspended, self.full, self.was_full) = (false, false, false);
        self.running.take()
    }

    fn id(&self) -> Option<Pid> {
        Pid::from_raw(self.running.as_ref()?.id().cast_signed())
    }

    fn signal(&self, signal: Signal) -> bool {
        self.id().is_some_and(|id| kill_process(id, signal).is_ok())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Removes what libfaketime leaves behind when its process is killed.
fn clean_up(id: u32) {
    for name in ["faketime_shm_", "sem.faketime_sem_"] {
        let _ = fs::remove_file(format!("/dev/shm/{name}{id}"));
    }
}
