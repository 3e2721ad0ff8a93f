//! Which processes are io.Connect's, and what each of them is to the platform.
//!
//! io.Connect Desktop is an Electron program: its windows and apps run in children of the same program that are told apart
//! by `--type=` on their command lines (Chromium's `switches::kProcessType`). A launcher may stand above the platform's
//! main process, and native apps below it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest name that Linux gives a process (`proc_pid_comm(5)`: 15 characters); longer names are cut.
const LINUX_NAME_LENGTH: usize = 15;

/// A process in a list of all: what is cheap to know of everyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub pid: u32,
    /// Id of the process that started it, which may be gone and its id another's.
    pub parent: u32,
    /// Its name, which may be cut.
    pub name: String,
}

/// A process, looked at closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// As listed.
    pub listed: Listed,
    /// Its program's file, if it may be known.
    pub exe: Option<PathBuf>,
    /// Its command line, if it may be known.
    pub command_line: Vec<String>,
    /// When it started, in seconds since 1970. With its id, this tells it from all others.
    pub started: u64,
    /// How long it has been running.
    pub age: Duration,
    /// CPU time that it has used.
    pub cpu_time: Duration,
    /// Physical memory that it uses, in bytes.
    pub memory: u64,
}

/// What a process is to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The platform itself.
    Main,
    /// Windows and apps.
    Renderer,
    /// Drawing.
    Gpu,
    /// Services of Chromium: network, audio and so on.
    Utility,
    /// Native apps, and what they started.
    Native,
    /// The launcher, crash handlers, further helpers.
    Other,
}

impl Role {
    /// As in attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Renderer => "renderer",
            Self::Gpu => "gpu",
            Self::Utility => "utility",
            Self::Native => "native",
            Self::Other => "other",
        }
    }
}

/// A process of io.Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The process.
    pub process: &'a Process,
    /// What it is.
    pub role: Role,
}

/// Ids of the processes that may be io.Connect's and deserve a closer look: those that have one of the platform's names,
/// and all below them.
#[must_use]
pub fn candidates(list: &[Listed], names: &[String]) -> Vec<u32> {
    let roots = list.iter().filter(|process| names.iter().any(|name| may_be_named(&process.name, name)));
    let mut found: Vec<u32> = roots.map(|process| process.pid).collect();
    if found.is_empty() {
        return found;
    }
    let mut seen: HashSet<u32> = found.iter().copied().collect();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in list {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let below = children.get(pid).into_iter().flatten().copied();
        let new: Vec<u32> = below.filter(|child| seen.insert(*child)).collect();
        found.extend(new);
        next += 1;
    }
    found
}

/// The processes of io.Connect among `processes`, with their roles. `names` are file names of the platform's program,
/// without `.exe`, in any case.
///
/// A process is another's child only if it is not older: system-wide, ids are used again. An app that the platform
/// started through a process that has ended since cannot be told from any other on Linux, and is not found.
#[must_use]
pub fn members<'a>(processes: &'a [Process], names: &[String]) -> Vec<Member<'a>> {
    let tree = Tree::new(processes, names);
    tree.members().map(|index| Member { process: &processes[index], role: tree.role(index) }).collect()
}

/// Positions in the list of processes, connected.
struct Tree<'a> {
    processes: &'a [Process],
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Which run the platform's program.
    platform: Vec<bool>,
}

impl<'a> Tree<'a> {
    fn new(processes: &'a [Process], names: &[String]) -> Self {
        let by_pid: HashMap<u32, usize> =
            processes.iter().enumerate().map(|(index, process)| (process.listed.pid, index)).collect();
        let parent = |child: &Process| {
            let parent = *by_pid.get(&child.listed.parent)?;
            (processes[parent].started <= child.started && child.listed.parent != child.listed.pid).then_some(parent)
        };
        let parents: Vec<Option<usize>> = processes.iter().map(parent).collect();
        let mut children = vec![Vec::new(); processes.len()];
        for (index, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(index);
            }
        }
        let platform = processes.iter().map(|process| is_platform(process, names)).collect();
        Self { processes, parents, children, platform }
    }

    fn members(&self) -> impl Iterator<Item = usize> {
        let mut found = vec![false; self.processes.len()];
        for root in (0..self.processes.len()).filter(|index| self.platform[*index]) {
            for index in self.below(root).chain([root]) {
                found[index] = true;
            }
        }
        (0..found.len()).filter(move |index| found[*index])
    }

    fn role(&self, index: usize) -> Role {
        match (self.platform[index], self.type_of(index)) {
            (true, Some("renderer")) => Role::Renderer,
            (true, Some("gpu-process")) => Role::Gpu,
            (true, Some("utility")) => Role::Utility,
            (true, None) if self.is_main(index) => Role::Main,
            (false, _) if !self.is_installed_with_platform(index) => Role::Native,
            (true | false, _) => Role::Other,
        }
    }

    /// Of the platform's processes without a type, the one that has children with a type is the platform itself. Before
    /// it has any, it is the topmost.
    fn is_main(&self, index: usize) -> bool {
        let untyped = |index: &usize| self.platform[*index] && self.type_of(*index).is_none();
        let has_typed_child = |index: usize| {
            self.children[index].iter().any(|child| self.platform[*child] && self.type_of(*child).is_some())
        };
        has_typed_child(index)
            || (!self.above(index).any(|above| untyped(&above))
                && !self.below(index).filter(untyped).any(has_typed_child))
    }

    /// Crash handlers and other helpers lie beside the platform's program.
    fn is_installed_with_platform(&self, index: usize) -> bool {
        let folder = |index: usize| self.processes[index].exe.as_deref().and_then(Path::parent);
        let Some(own) = folder(index) else { return false };
        self.above(index).any(|above| self.platform[above] && folder(above) == Some(own))
    }

    fn type_of(&self, index: usize) -> Option<&str> {
        process_type(&self.processes[index].command_line)
    }

    fn above(&self, index: usize) -> impl Iterator<Item = usize> {
        // Processes that started in the same second could form a ring if the list was read while ids were used again.
        std::iter::successors(self.parents[index], |index| self.parents[*index]).take(self.processes.len())
    }

    fn below(&self, index: usize) -> impl Iterator<Item = usize> {
        let mut seen = HashSet::from([index]);
        let mut waiting = self.children[index].clone();
        std::iter::from_fn(move || {
            loop {
                let next = waiting.pop()?;
                if seen.insert(next) {
                    waiting.extend(&self.children[next]);
                    return Some(next);
                }
            }
        })
    }
}

/// Whether a process runs the platform's program: its file says so, or if that may not be known, its name.
fn is_platform(process: &Process, names: &[String]) -> bool {
    match process.exe.as_deref().and_then(Path::file_name) {
        Some(file) => names.iter().any(|name| is_named(&file.to_string_lossy(), name)),
        None => names.iter().any(|name| may_be_named(&process.listed.name, name)),
    }
}

fn is_named(file: &str, name: &str) -> bool {
    without_exe(file).eq_ignore_ascii_case(without_exe(name))
}

fn may_be_named(process: &str, name: &str) -> bool {
    let cut = || name.get(..LINUX_NAME_LENGTH).is_some_and(|cut| process.eq_ignore_ascii_case(cut));
    is_named(process, name) || cut()
}

/// A program's file name without its ending, if that is `.exe`.
#[must_use]
pub fn without_exe(name: &str) -> &str {
    let Some(at) = name.len().checked_sub(4) else { return name };
    if name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(".exe")) { &name[..at] } else { name }
}

/// The value of `--type=`. On Linux, Chromium's children replace their command line by one text with spaces.
fn process_type(command_line: &[String]) -> Option<&str> {
    command_line.iter().flat_map(|argument| argument.split(' ')).find_map(|part| part.strip_prefix("--type="))
}

#[cfg(test)]
mod tests;
