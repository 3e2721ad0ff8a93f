//! Maps a window's process id to its io.Connect role and program name.

use std::collections::HashMap;

use crate::ioconnect::processes::{ProcessEntry, Role, members, without_exe};
use crate::sources::processes::list;

/// The known properties of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessInfo {
    /// Its role in io.Connect, if any.
    pub(super) role: Option<Role>,
    /// File name of its program, without `.exe`.
    pub(super) program: String,
}

/// A running platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Platform {
    /// Id of its main process.
    pub(super) pid: u32,
    /// Start time of that process, in seconds since 1970.
    pub(super) started: u64,
}

/// Cache of the processes that were asked for since the last refresh.
#[derive(Debug)]
pub(super) struct ProcessTree {
    names: Vec<String>,
    known: HashMap<u32, ProcessInfo>,
    platforms: Vec<Platform>,
}

impl ProcessTree {
    /// `names` are the file names of the platform's program.
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), known: HashMap::new(), platforms: Vec::new() }
    }

    /// Returns the properties of a process.
    pub(super) fn info(&mut self, pid: u32) -> ProcessInfo {
        if pid == 0 {
            return ProcessInfo { role: None, program: String::new() };
        }
        if !self.known.contains_key(&pid) {
            let listed = list::all();
            self.inspect(&listed, &[pid]);
        }
        self.known.get(&pid).cloned().unwrap_or(ProcessInfo { role: None, program: String::new() })
    }

    /// Returns whether a process existed at the last refresh, if it was asked for.
    pub(super) fn is_running(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// Reads the platforms and the given processes again, and forgets all others.
    pub(super) fn refresh(&mut self, pids: &[u32]) {
        let listed = list::all();
        self.known.clear();
        self.inspect(&listed, pids);
    }

    /// Returns the platforms that were running at the last refresh.
    pub(super) fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    fn inspect(&mut self, listed: &[ProcessEntry], pids: &[u32]) {
        let processes = list::platform_processes(listed, &self.names);
        let members = members(&processes, &self.names);
        for pid in pids {
            let member = members.iter().find(|member| member.process.entry.pid == *pid);
            let file = member.and_then(|member| member.process.exe.as_deref()?.file_name());
            let file = file.map(|file| file.to_string_lossy().into_owned());
            let name = || listed.iter().find(|process| process.pid == *pid).map(|process| process.name.clone());
            let Some(program) = file.or_else(name) else { continue };
            let program = without_exe(&program).to_owned();
            self.known.insert(*pid, ProcessInfo { role: member.map(|member| member.role), program });
        }
        let mains = members.iter().filter(|member| member.role == Role::Main);
        self.platforms =
            mains.map(|main| Platform { pid: main.process.entry.pid, started: main.process.started }).collect();
    }
}
