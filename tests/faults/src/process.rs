//! The agent's process, and what can be done to it from outside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::files::Key;
use test_support::program::{Running, TestEnv, program};
use test_support::wait_for;

/// The agent ended by itself.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// It may: it could not start on a full disk, and has said so.
    pub for_want_of_room: bool,
}

/// Where Debian and Ubuntu put libfaketime.
const FAKETIME: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

/// libfaketime, if it is on this machine.
#[must_use]
pub fn faketime() -> Option<&'static str> {
    FAKETIME.into_iter().find(|path| Path::new(path).exists())
}

/// The agent of a desk: running, suspended, or not there.
#[derive(Debug)]
pub struct Agent {
    running: Option<Running>,
    clock: PathBuf,
    suspended: bool,
    full: bool,
    /// Whether the disk has been full since it was started.
    was_full: bool,
    /// How much agents had said when it was started.
    said_before: usize,
}

impl Agent {
    /// Not started yet.
    #[must_use]
    pub fn of(env: &TestEnv) -> Self {
        let clock = env.folder().join("clock");
        let agent = Self { running: None, clock, suspended: false, full: false, was_full: false, said_before: 0 };
        agent.set_clock(0);
        agent
    }

    /// Starts it; false if it runs.
    pub fn start(&mut self, env: &TestEnv) -> bool {
        if self.running.is_some() {
            return false;
        }
        let agent = env.command(&["run"]);
        // A full disk is made by a limit of the size of files, for which the system sends a signal. A disk that really is
        // full sends none. A signal that is ignored stays so in a program that is started.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(agent.get_program()).args(agent.get_args());
        for (name, value) in agent.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(library) = faketime() {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &self.clock);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        }
        self.said_before = env.said().len();
        self.running = Some(env.start_as(command));
        true
    }

    /// Whether it runs and is not suspended.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.running.is_some() && !self.suspended
    }

    /// Whether its disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Ends it without warning; false if it does not run.
    pub fn kill(&mut self) -> bool {
        let Some(running) = self.forget() else { return false };
        let id = running.id();
        running.kill();
        clean_up(id);
        true
    }

    /// Asks it to end, and waits; whether it ended well. Nothing if it does not run.
    pub fn stop(&mut self, env: &TestEnv) -> Option<bool> {
        self.resume();
        let was_full = self.was_full;
        let running = self.forget()?;
        let id = running.id();
        let status = running.end();
        clean_up(id);
        // Before it has begun, the signal ends it at once, and it does not begin on a full disk.
        let had_begun = env.said().get(self.said_before..).is_some_and(|said| said.contains("agent: started"));
        let may_not_begin = status.signal() == Some(Signal::TERM.as_raw()) || was_full && status.code() == Some(1);
        Some(status.success() || !had_begun && may_not_begin)
    }

    /// Takes note if it ended by itself; then says how.
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.running.as_mut()?.ended()?;
        let ended = Ended { status, for_want_of_room: self.was_full && status.code() == Some(1) };
        clean_up(self.forget()?.id());
        Some(ended)
    }

    /// Suspends its process; false if it does not run.
    pub fn suspend(&mut self) -> bool {
        self.wait_for_program();
        self.suspended = self.signal(Signal::STOP);
        self.suspended
    }

    /// Lets its process go on; false if it does not run.
    pub fn resume(&mut self) -> bool {
        self.suspended = false;
        self.signal(Signal::CONT)
    }

    /// Sets how long its files can become; nothing: as long as they want. False if it does not run.
    pub fn limit_files(&mut self, bytes: Option<u64>) -> bool {
        let Some(id) = self.id() else { return false };
        self.wait_for_program();
        prlimit(Some(id), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit that can be set");
        self.full = bytes.is_some();
        self.was_full |= self.full;
        true
    }

    /// Sets how many seconds its clock is off.
    pub fn set_clock(&self, seconds: i64) {
        // Renamed into place: it is read at any moment.
        let new = self.clock.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("room on the disk");
        fs::rename(new, &self.clock).expect("a file to rename");
    }

    /// Whether it has a file open.
    #[must_use]
    pub fn has_open(&self, (volume, index): Key) -> bool {
        let Some(running) = &self.running else { return false };
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", running.id())) else { return false };
        let is_it = |path: PathBuf| fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (volume, index));
        entries.flatten().any(|entry| is_it(entry.path()))
    }

    /// Waits until the shell that ignores the signal has given way to the agent.
    fn wait_for_program(&self) {
        let Some(running) = &self.running else { return };
        let name = format!("/proc/{}/comm", running.id());
        let program = program().file_name().expect("a name").to_string_lossy().into_owned();
        // The system keeps 15 bytes of it.
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

/// Removes what libfaketime leaves behind in a process that is killed.
fn clean_up(id: u32) {
    for name in ["faketime_shm_", "sem.faketime_sem_"] {
        let _ = fs::remove_file(format!("/dev/shm/{name}{id}"));
    }
}
