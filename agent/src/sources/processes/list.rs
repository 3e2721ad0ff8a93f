//! The processes of the system: a cheap list of all, and details of a few.
//!
//! On Windows the list does not open any process, because security products notice a program that
//! opens every other one.

use std::ffi::OsString;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use crate::ioconnect::processes::{Process, ProcessEntry, candidates};

/// Returns the details of the listed processes that may belong to io.Connect and run in this
/// session. On a shared machine each agent reports the processes of its own user only.
pub(in crate::sources) fn platform_processes(list: &[ProcessEntry], names: &[String]) -> Vec<Process> {
    let mut pids = candidates(list, names);
    pids.retain(|pid| is_in_own_session(*pid));
    inspect(&pids)
}

/// Returns the details of the given processes. Processes that have ended in the meantime are
/// missing.
pub(super) fn inspect(pids: &[u32]) -> Vec<Process> {
    if pids.is_empty() {
        return Vec::new();
    }
    // A new `System` each time: cached details would be wrong after a process replaced its program
    // (`exec`).
    let Ok(mut system) = System::new() else { return Vec::new() };
    let pids: Vec<Pid> = pids.iter().map(|pid| Pid::from_u32(*pid)).collect();
    let what = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_exe(UpdateKind::Always)
        .with_cmd(UpdateKind::Always)
        .without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), false, what);
    // A process that has ended but was not yet waited for (zombie) no longer has a program.
    let live = system.processes().values().filter(|found| found.status() != ProcessStatus::Zombie);
    live.map(process).collect()
}

fn process(found: &sysinfo::Process) -> Process {
    let text = |text: &OsString| text.to_string_lossy().into_owned();
    Process {
        entry: ProcessEntry {
            pid: found.pid().as_u32(),
            parent: found.parent().map_or(0, Pid::as_u32),
            name: found.name().to_string_lossy().into_owned(),
        },
        exe: found.exe().filter(|exe| !exe.as_os_str().is_empty()).map(ToOwned::to_owned),
        command_line: found.cmd().iter().map(text).collect(),
        started: found.start_time(),
        age: Duration::from_secs(found.run_time()),
        cpu_time: Duration::from_millis(found.accumulated_cpu_time()),
        memory: found.memory(),
    }
}

/// Returns whether the process runs in the session of this user.
#[cfg(windows)]
#[allow(unsafe_code)]
fn is_in_own_session(pid: u32) -> bool {
    use windows::Win32::System::RemoteDesktop::ProcessIdToSessionId;
    let session = |pid| {
        let mut session = 0;
        // SAFETY: `session` lives through the call.
        unsafe { ProcessIdToSessionId(pid, &raw mut session) }.ok().map(|()| session)
    };
    session(pid) == session(std::process::id())
}

/// Returns whether the process belongs to this user.
#[cfg(not(windows))]
fn is_in_own_session(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::getuid().as_raw();
    std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == own)
}

/// Lists all processes.
#[cfg(windows)]
#[allow(unsafe_code)]
pub(in crate::sources) fn all() -> Vec<ProcessEntry> {
    use windows::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
    };
    use windows::core::Owned;

    let size = u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or_default();
    let mut entry = PROCESSENTRY32W { dwSize: size, ..Default::default() };
    let mut list = Vec::new();
    // SAFETY: the snapshot handle belongs to this function alone and is closed once, by `Owned`;
    // `entry` is a live structure of this frame whose size is set as the calls require, and they do
    // not keep it.
    unsafe {
        let Ok(snapshot) = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) else { return list };
        let snapshot = Owned::new(snapshot);
        let mut more = Process32FirstW(*snapshot, &raw mut entry).is_ok();
        while more {
            let length = entry.szExeFile.iter().position(|unit| *unit == 0).unwrap_or(entry.szExeFile.len());
            list.push(ProcessEntry {
                pid: entry.th32ProcessID,
                parent: entry.th32ParentProcessID,
                name: String::from_utf16_lossy(&entry.szExeFile[..length]),
            });
            more = Process32NextW(*snapshot, &raw mut entry).is_ok();
        }
    }
    list
}

/// Lists all processes.
#[cfg(not(windows))]
pub(in crate::sources) fn all() -> Vec<ProcessEntry> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut path = String::new();
    pids.filter_map(|pid: u32| {
        use std::fmt::Write as _;
        path.clear();
        write!(path, "/proc/{pid}/stat").ok()?;
        parse_stat(&read_prefix(&path)?)
    })
    .collect()
}

/// Reads enough of /proc/PID/stat to include the parent, which is the third field after the name
/// (at most 15 characters).
#[cfg(not(windows))]
fn read_prefix(path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut buffer = [0; 128];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut buffer)).ok()?;
    Some(String::from_utf8_lossy(buffer.get(..read)?).into_owned())
}

/// Parses `pid (name) state parent ...` (`proc_pid_stat(5)`). The name may contain spaces and
/// parentheses. Returns none for a zombie: a process that has ended but was not yet waited for.
#[cfg(not(windows))]
fn parse_stat(stat: &str) -> Option<ProcessEntry> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let (state, rest) = rest.split_once(' ')?;
    let parent = rest.split(' ').next()?.parse().ok().filter(|_| state != "Z")?;
    Some(ProcessEntry { pid: pid.parse().ok()?, parent, name: name.to_owned() })
}

#[cfg(test)]
mod tests;
