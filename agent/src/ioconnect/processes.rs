//! Finds the io.Connect processes and their roles.
//!
//! io.Connect Desktop is an Electron program. Its windows and apps run in child processes of the
//! same program, which differ by `--type=` on their command lines (Chromium's
//! `switches::kProcessType`). There may be a launcher above the main process of the platform, and
//! native apps below it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Maximum length of a process name on Linux (`proc_pid_comm(5)`: 15 characters); longer names are
/// cut.
const MAX_LINUX_NAME_LENGTH: usize = 15;

/// An entry of the process list: the properties that are cheap to read for every process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Process id.
    pub pid: u32,
    /// Id of the parent process. The parent may have ended and its id may have been reused.
    pub parent: u32,
    /// Name, possibly cut.
    pub name: String,
}

/// The details of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The list entry.
    pub entry: ProcessEntry,
    /// Path of the program, if it can be read.
    pub exe: Option<PathBuf>,
    /// Command line, if it can be read.
    pub command_line: Vec<String>,
    /// Start time in seconds since 1970. Together with the id, it identifies a process uniquely.
    pub started: u64,
    /// Time since the start.
    pub age: Duration,
    /// CPU time used so far.
    pub cpu_time: Duration,
    /// Physical memory in use, in bytes.
    pub memory: u64,
}

/// Role of a process in io.Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The main process of the platform.
    Main,
    /// Windows and apps.
    Renderer,
    /// Graphics.
    Gpu,
    /// Chromium services: network, audio and so on.
    Utility,
    /// Native apps and the processes they started.
    Native,
    /// The launcher, crash handlers and other helpers.
    Other,
}

impl Role {
    /// Returns the value used in attributes.
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

/// A process of io.Connect with its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The process.
    pub process: &'a Process,
    /// Its role.
    pub role: Role,
}

/// Returns the ids of the processes that may belong to io.Connect and whose details are needed:
/// those with one of the platform's names, and all their descendants.
#[must_use]
pub fn candidates(list: &[ProcessEntry], names: &[String]) -> Vec<u32> {
    let roots = list.iter().filter(|process| names.iter().any(|name| may_match_name(&process.name, name)));
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
        let direct = children.get(pid).into_iter().flatten().copied();
        let new: Vec<u32> = direct.filter(|child| seen.insert(*child)).collect();
        found.extend(new);
        next += 1;
    }
    found
}

/// Returns the processes of io.Connect among `processes`, with their roles. `names` are file names
/// of the platform's program, without `.exe`, in any case.
///
/// A process counts as a child only if it is not older than its parent, because process ids are
/// reused. On Linux, an app that the platform started through a process that has already ended
/// cannot be distinguished from other programs and is not found.
#[must_use]
pub fn members<'a>(processes: &'a [Process], names: &[String]) -> Vec<Member<'a>> {
    let tree = ProcessTree::new(processes, names);
    tree.members().map(|index| Member { process: &processes[index], role: tree.role(index) }).collect()
}

/// The processes with their parents and children, as positions in the list.
struct ProcessTree<'a> {
    processes: &'a [Process],
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Whether each process runs the platform's program.
    platform: Vec<bool>,
}

impl<'a> ProcessTree<'a> {
    fn new(processes: &'a [Process], names: &[String]) -> Self {
        let by_pid: HashMap<u32, usize> =
            processes.iter().enumerate().map(|(index, process)| (process.entry.pid, index)).collect();
        let parent = |child: &Process| {
            let parent = *by_pid.get(&child.entry.parent)?;
            (processes[parent].started <= child.started && child.entry.parent != child.entry.pid).then_some(parent)
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
            for index in self.descendants(root).chain([root]) {
                found[index] = true;
            }
        }
        (0..found.len()).filter(move |index| found[*index])
    }

    fn role(&self, index: usize) -> Role {
        match (self.platform[index], self.process_type_of(index)) {
            (true, Some("renderer")) => Role::Renderer,
            (true, Some("gpu-process")) => Role::Gpu,
            (true, Some("utility")) => Role::Utility,
            (true, None) if self.is_main(index) => Role::Main,
            (false, _) if !self.is_installed_with_platform(index) => Role::Native,
            (true | false, _) => Role::Other,
        }
    }

    /// Returns whether this is a main process. Of the platform's processes without a type, the main
    /// process is the one that has typed children. Before it has any, it is the topmost one.
    fn is_main(&self, index: usize) -> bool {
        let untyped = |index: &usize| self.platform[*index] && self.process_type_of(*index).is_none();
        let has_typed_child = |index: usize| {
            self.children[index].iter().any(|child| self.platform[*child] && self.process_type_of(*child).is_some())
        };
        has_typed_child(index)
            || (!self.ancestors(index).any(|ancestor| untyped(&ancestor))
                && !self.descendants(index).filter(untyped).any(has_typed_child))
    }

    /// Returns whether the program is in the same folder as the platform's program, like crash
    /// handlers and other helpers.
    fn is_installed_with_platform(&self, index: usize) -> bool {
        let folder = |index: usize| self.processes[index].exe.as_deref().and_then(Path::parent);
        let Some(own) = folder(index) else { return false };
        self.ancestors(index).any(|ancestor| self.platform[ancestor] && folder(ancestor) == Some(own))
    }

    fn process_type_of(&self, index: usize) -> Option<&str> {
        process_type(&self.processes[index].command_line)
    }

    fn ancestors(&self, index: usize) -> impl Iterator<Item = usize> {
        // The limit prevents an endless loop: processes that started in the same second can form a
        // cycle if ids were reused while the list was read.
        std::iter::successors(self.parents[index], |index| self.parents[*index]).take(self.processes.len())
    }

    fn descendants(&self, index: usize) -> impl Iterator<Item = usize> {
        let mut seen = HashSet::from([index]);
        let mut remaining = self.children[index].clone();
        std::iter::from_fn(move || {
            loop {
                let next = remaining.pop()?;
                if seen.insert(next) {
                    remaining.extend(&self.children[next]);
                    return Some(next);
                }
            }
        })
    }
}

/// Returns whether a process runs the platform's program. The path of the program decides; if it
/// cannot be read, the name does.
fn is_platform(process: &Process, names: &[String]) -> bool {
    match process.exe.as_deref().and_then(Path::file_name) {
        Some(file) => names.iter().any(|name| matches_name(&file.to_string_lossy(), name)),
        None => names.iter().any(|name| may_match_name(&process.entry.name, name)),
    }
}

fn matches_name(file: &str, name: &str) -> bool {
    without_exe(file).eq_ignore_ascii_case(without_exe(name))
}

fn may_match_name(process: &str, name: &str) -> bool {
    let cut = || name.get(..MAX_LINUX_NAME_LENGTH).is_some_and(|cut| process.eq_ignore_ascii_case(cut));
    matches_name(process, name) || cut()
}

/// Returns the file name of a program without `.exe`.
#[must_use]
pub fn without_exe(name: &str) -> &str {
    let Some(at) = name.len().checked_sub(4) else { return name };
    if name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(".exe")) { &name[..at] } else { name }
}

/// Returns the value of `--type=`. On Linux, Chromium's children replace their command line by a
/// single string with spaces.
fn process_type(command_line: &[String]) -> Option<&str> {
    command_line.iter().flat_map(|argument| argument.split(' ')).find_map(|part| part.strip_prefix("--type="))
}

#[cfg(test)]
mod tests;
