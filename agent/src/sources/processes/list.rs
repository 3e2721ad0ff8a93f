//! The system's processes: a list of all that is cheap, and a closer look at a few.
//!
//! On Windows nothing is opened for the list, because security products take notice of a program that opens every other.

use std::ffi::OsString;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use crate::ioconnect::processes::{Listed, Process, candidates};

/// A closer look at the processes of a list that may be io.Connect's, as far as they are of this session: on a machine
/// that many people share, each agent tells of its own user's.
pub(in crate::sources) fn of_connect(list: &[Listed], names: &[String]) -> Vec<Process> {
    let mut pids = candidates(list, names);
    pids.retain(|pid| is_of_session(*pid));
    look_at(&pids)
}

/// A closer look at some processes. Those that have ended since are missing.
pub(super) fn look_at(pids: &[u32]) -> Vec<Process> {
    if pids.is_empty() {
        return Vec::new();
    }
    // Anew each time: what is remembered of a process would be wrong after it has started another program in its place.
    let Ok(mut system) = System::new() else { return Vec::new() };
    let pids: Vec<Pid> = pids.iter().map(|pid| Pid::from_u32(*pid)).collect();
    let what = ProcessRefreshKind::nothing()
        .with_cpu()
        .with_memory()
        .with_exe(UpdateKind::Always)
        .with_cmd(UpdateKind::Always)
        .without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), false, what);
    // What has ended but was not yet waited for has no program any more.
    let live = system.processes().values().filter(|found| found.status() != ProcessStatus::Zombie);
    live.map(process).collect()
}

fn process(found: &sysinfo::Process) -> Process {
    let text = |text: &OsString| text.to_string_lossy().into_owned();
    Process {
        listed: Listed {
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

/// Whether a process is of this user's session.
#[cfg(windows)]
#[allow(unsafe_code)]
fn is_of_session(pid: u32) -> bool {
    use windows::Win32::System::RemoteDesktop::ProcessIdToSessionId;
    let session = |pid| {
        let mut session = 0;
        // SAFETY: `session` lives through the call.
        unsafe { ProcessIdToSessionId(pid, &raw mut session) }.ok().map(|()| session)
    };
    session(pid) == session(std::process::id())
}

/// Whether a process is this user's.
#[cfg(not(windows))]
fn is_of_session(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::getuid().as_raw();
    std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == own)
}

/// All processes.
#[cfg(windows)]
#[allow(unsafe_code)]
pub(in crate::sources) fn all() -> Vec<Listed> {
    use windows::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
    };
    use windows::core::Owned;

    let size = u32::try_from(size_of::<PROCESSENTRY32W>()).unwrap_or_default();
    let mut entry = PROCESSENTRY32W { dwSize: size, ..Default::default() };
    let mut list = Vec::new();
    // SAFETY: the snapshot's handle is this function's alone, and closed once, by `Owned`; `entry` is a live structure of
    // this frame whose size is set as the calls demand, and they do not keep it.
    unsafe {
        let Ok(snapshot) = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) else { return list };
        let snapshot = Owned::new(snapshot);
        let mut more = Process32FirstW(*snapshot, &raw mut entry).is_ok();
        while more {
            let length = entry.szExeFile.iter().position(|unit| *unit == 0).unwrap_or(entry.szExeFile.len());
            list.push(Listed {
                pid: entry.th32ProcessID,
                parent: entry.th32ParentProcessID,
                name: String::from_utf16_lossy(&entry.szExeFile[..length]),
            });
            more = Process32NextW(*snapshot, &raw mut entry).is_ok();
        }
    }
    list
}

/// All processes.
#[cfg(not(windows))]
pub(in crate::sources) fn all() -> Vec<Listed> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut path = String::new();
    pids.filter_map(|pid: u32| {
        use std::fmt::Write as _;
        path.clear();
        write!(path, "/proc/{pid}/stat").ok()?;
        parse_stat(&read_start(&path)?)
    })
    .collect()
}

/// Enough of /proc/PID/stat to have the parent, which comes third after a name of at most 15 characters.
#[cfg(not(windows))]
fn read_start(path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut buffer = [0; 128];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut buffer)).ok()?;
    Some(String::from_utf8_lossy(buffer.get(..read)?).into_owned())
}

/// `pid (name) state parent ...` (`proc_pid_stat(5)`). The name may hold spaces and parentheses. None for what has ended
/// but was not yet waited for.
#[cfg(not(windows))]
fn parse_stat(stat: &str) -> Option<Listed> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let (state, rest) = rest.split_once(' ')?;
    let parent = rest.split(' ').next()?.parse().ok().filter(|_| state != "Z")?;
    Some(Listed { pid: pid.parse().ok()?, parent, name: name.to_owned() })
}

#[cfg(test)]
mod tests;
