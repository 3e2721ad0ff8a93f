//! Scenario: process tables with platforms on Windows and Linux, and unusual tables.

use proptest::prelude::*;

use super::*;
use crate::config::ConnectSettings;

const INSTALL: &str = "C:/Users/ann/AppData/Local/interop.io/io.Connect Desktop/Desktop";

fn names() -> Vec<String> {
    ConnectSettings::default().process_names
}

/// Creates a process that started at second `started` from the file `exe` with `arguments`.
fn process(pid: u32, parent: u32, started: u64, exe: &str, arguments: &str) -> Process {
    let name = exe.rsplit('/').next().unwrap_or_default().to_owned();
    let mut command_line = vec![exe.to_owned()];
    command_line.extend(arguments.split_ascii_whitespace().map(String::from));
    Process {
        entry: ProcessEntry { pid, parent, name },
        exe: Some(PathBuf::from(exe)),
        command_line,
        started,
        age: Duration::ZERO,
        cpu_time: Duration::ZERO,
        memory: 0,
    }
}

fn roles(processes: &[Process]) -> Vec<(u32, &'static str)> {
    members(processes, &names()).iter().map(|member| (member.process.entry.pid, member.role.name())).collect()
}

/// A running platform on Windows: launcher, main process, Electron children and a native app that
/// contains a browser, among unrelated processes.
fn desktop() -> Vec<Process> {
    let inner = format!("{INSTALL}/io-connect-desktop-inner.exe");
    vec![
        process(4, 0, 1, "System", ""),
        process(900, 700, 10, "C:/Windows/explorer.exe", ""),
        process(1000, 900, 100, &format!("{INSTALL}/IO-Connect-Desktop.EXE"), "-- config=config/system.json"),
        process(1010, 1000, 101, &inner, "-- config=config/system.json"),
        process(1020, 1010, 102, &inner, "--type=crashpad-handler --user-data-dir=x"),
        process(1030, 1010, 102, &inner, "--type=gpu-process --gpu-preferences=x"),
        process(1040, 1010, 102, &inner, "--type=utility --utility-sub-type=network.mojom.NetworkService"),
        process(1050, 1010, 103, &inner, "--type=renderer --lang=en"),
        process(1060, 1010, 104, &inner, "--type=renderer --lang=en"),
        process(1070, 1010, 104, &inner, "C:/app/server.js"),
        process(1080, 1010, 104, &format!("{INSTALL}/helper.exe"), ""),
        process(2000, 1010, 120, "D:/Apps/Blotter/Blotter.exe", "--mode=live"),
        process(2010, 2000, 121, "C:/Program Files/WebView2/msedgewebview2.exe", "--type=renderer"),
        process(3000, 900, 130, "C:/Program Files/Slack/slack.exe", ""),
        process(3010, 3000, 131, "C:/Program Files/Slack/slack.exe", "--type=renderer"),
    ]
}

/// The whole tree is found with its roles, and nothing else. A browser inside a native app belongs
/// to that app.
#[test]
fn windows_platform_gets_roles() {
    assert_eq!(
        roles(&desktop()),
        [
            (1000, "other"),
            (1010, "main"),
            (1020, "other"),
            (1030, "gpu"),
            (1040, "utility"),
            (1050, "renderer"),
            (1060, "renderer"),
            (1070, "other"),
            (1080, "other"),
            (2000, "native"),
            (2010, "native"),
        ]
    );
}

/// Candidates are the platform's processes and their descendants, and only if there is a platform.
#[test]
fn candidates_are_platform_and_descendants() {
    let list: Vec<ProcessEntry> = desktop().into_iter().map(|process| process.entry).collect();
    let mut found = candidates(&list, &names());
    found.sort_unstable();
    assert_eq!(found, [1000, 1010, 1020, 1030, 1040, 1050, 1060, 1070, 1080, 2000, 2010]);
    let without: Vec<ProcessEntry> = list.into_iter().filter(|listed| !(1000..2000).contains(&listed.pid)).collect();
    assert!(candidates(&without, &names()).is_empty());
}

/// On Linux, names are cut to 15 characters and Chromium's children have their command line in a
/// single string. Zygote processes sit between the main process and the renderers. A program with
/// the same cut name is not the platform.
#[test]
fn linux_platform_gets_roles() {
    let exe = "/opt/io.Connect Desktop/io-connect-desktop";
    let mut list = vec![
        process(100, 1, 10, exe, ""),
        process(110, 100, 11, exe, ""),
        process(120, 110, 11, exe, ""),
        process(130, 100, 12, "/opt/io.Connect Desktop/chrome_crashpad_handler", ""),
        process(140, 1, 12, "/usr/bin/io-connect-desk-clock", ""),
        process(150, 140, 12, "/usr/bin/cat", ""),
    ];
    list[1].command_line = vec![format!("{exe} --type=zygote --no-sandbox")];
    list[2].command_line = vec![format!("{exe} --type=renderer --lang=en")];
    for process in &mut list {
        process.entry.name.truncate(MAX_LINUX_NAME_LENGTH);
    }
    let listed: Vec<ProcessEntry> = list.iter().map(|process| process.entry.clone()).collect();
    assert_eq!(candidates(&listed, &names()).len(), 6, "the names alone are ambiguous");
    assert_eq!(roles(&list), [(100, "main"), (110, "other"), (120, "renderer"), (130, "other")]);
}

/// During startup, before there are typed children, the topmost process counts as the platform. If
/// the path of the program cannot be read, the name decides.
#[test]
fn starting_platform_has_topmost_main() {
    let mut list = desktop();
    list.retain(|process| process.entry.pid <= 1010);
    assert_eq!(roles(&list), [(1000, "main"), (1010, "other")]);
    for process in &mut list {
        process.exe = None;
        process.command_line.clear();
    }
    assert_eq!(roles(&list), [(1000, "main"), (1010, "other")]);
}

/// Of two platforms, the second started from the first, both are found.
#[test]
fn two_platforms_are_both_main() {
    let exe = "/opt/a/tick42-glue-desktop";
    let list = [
        process(1, 0, 1, exe, ""),
        process(2, 1, 2, exe, "--type=renderer"),
        process(3, 1, 3, exe, "config0=prod"),
        process(4, 3, 4, exe, "--type=renderer"),
    ];
    assert_eq!(roles(&list), [(1, "main"), (2, "renderer"), (3, "main"), (4, "renderer")]);
}

/// The parent's id was reused by a platform that is younger than the child, so the child does not
/// belong to it.
#[test]
fn reused_parent_id_is_not_a_parent() {
    let list = [
        process(500, 1, 1000, "/opt/a/io-connect-desktop", ""),
        process(501, 500, 10, "/usr/bin/editor", ""),
        process(502, 500, 1000, "/usr/bin/blotter", ""),
    ];
    assert_eq!(roles(&list), [(500, "main"), (502, "native")]);
}

/// Names in the settings may be written with or without `.exe`, in any case. Short and unusual
/// names work.
#[test]
fn names_are_compared_without_exe_and_case() {
    assert!(matches_name("IO-Connect-Desktop.EXE", "io-connect-desktop"));
    assert!(matches_name("trading", "Trading.exe"));
    assert!(!matches_name("io-connect-desktop2.exe", "io-connect-desktop"));
    assert!(may_match_name("io-connect-desk", "io-connect-desktop"));
    assert!(!may_match_name("io-connect", "io-connect-desktop"));
    for odd in ["", "exe", ".exe", "\u{e9}xe", "a\u{1f600}"] {
        assert!(matches_name(odd, odd));
    }
}

proptest! {
    /// For any table, with cycles, processes that are their own parents, and duplicate ids: the
    /// search ends, each process is found at most once, every process with the platform's name is
    /// found, and the candidates include every member.
    #[test]
    fn any_process_table_is_searched_completely(table in prop::collection::vec((0_u32..12, 0_u32..12, 0_u64..3, 0_usize..4, 0_usize..3), 0..24)) {
        let exes = ["/o/io-connect-desktop", "/o/helper", "/n/app", "/o/io-connect-desktop-inner"];
        let arguments = ["", "--type=renderer", "--type=zygote"];
        let processes: Vec<Process> = table
            .iter()
            .map(|&(pid, parent, started, exe, argument)| process(pid, parent, started, exes[exe], arguments[argument]))
            .collect();
        let found = members(&processes, &names());
        let platform = processes.iter().filter(|process| is_platform(process, &names())).count();
        prop_assert!(found.len() >= platform && found.len() <= processes.len());
        prop_assert_eq!(found.is_empty(), platform == 0);
        let list: Vec<ProcessEntry> = processes.iter().map(|process| process.entry.clone()).collect();
        let looked_at = candidates(&list, &names());
        prop_assert!(found.iter().all(|member| looked_at.contains(&member.process.entry.pid)));
    }
}
