//! Whose process a window's is, for whoever has its id.

use std::collections::HashMap;

use crate::ioconnect::processes::{Listed, Role, members, without_exe};
use crate::sources::processes::list;

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kin {
    /// What it is to io.Connect, if anything.
    pub(super) role: Option<Role>,
    /// File name of its program, without `.exe`.
    pub(super) program: String,
}

/// A platform that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Platform {
    /// Its main process.
    pub(super) pid: u32,
    /// When that started, in seconds since 1970.
    pub(super) started: u64,
}

/// The processes that have been asked for.
#[derive(Debug)]
pub(super) struct Family {
    names: Vec<String>,
    known: HashMap<u32, Kin>,
    platforms: Vec<Platform>,
}

impl Family {
    /// `names` are those of the platform's program.
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), known: HashMap::new(), platforms: Vec::new() }
    }

    /// What a process is.
    pub(super) fn of(&mut self, pid: u32) -> Kin {
        if pid == 0 {
            return Kin { role: None, program: String::new() };
        }
        if !self.known.contains_key(&pid) {
            let listed = list::all();
            self.look(&listed, &[pid]);
        }
        self.known.get(&pid).cloned().unwrap_or(Kin { role: None, program: String::new() })
    }

    /// Whether a process was there at the last look, if it mattered then.
    pub(super) fn is_there(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// Looks anew, at platforms and at the processes that still matter.
    pub(super) fn refresh(&mut self, pids: &[u32]) {
        let listed = list::all();
        self.known.clear();
        self.look(&listed, pids);
    }

    /// The platforms that ran at the last look.
    pub(super) fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    fn look(&mut self, listed: &[Listed], pids: &[u32]) {
        let processes = list::of_connect(listed, &self.names);
        let members = members(&processes, &self.names);
        for pid in pids {
            let member = members.iter().find(|member| member.process.listed.pid == *pid);
            let file = member.and_then(|member| member.process.exe.as_deref()?.file_name());
            let file = file.map(|file| file.to_string_lossy().into_owned());
            let name = || listed.iter().find(|process| process.pid == *pid).map(|process| process.name.clone());
            let Some(program) = file.or_else(name) else { continue };
            let program = without_exe(&program).to_owned();
            self.known.insert(*pid, Kin { role: member.map(|member| member.role), program });
        }
        let mains = members.iter().filter(|member| member.role == Role::Main);
        self.platforms =
            mains.map(|main| Platform { pid: main.process.listed.pid, started: main.process.started }).collect();
    }
}
