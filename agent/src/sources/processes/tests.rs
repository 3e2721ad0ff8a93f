//! Scenario: the process source observes real processes and exports through the OpenTelemetry SDK.

use std::collections::BTreeMap;
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Child, Command, Stdio};

use super::super::host::tests::{Exports, Point, assert_as_documented, wait_for};
use super::*;
use crate::config::Period;

fn settings() -> ProcessSettings {
    ProcessSettings { enabled: true, sample_interval: Period::from_millis(20) }
}

fn by_role(points: &[Point], name: &str) -> BTreeMap<String, f64> {
    let points = points.iter().filter(|point| point.name == name);
    points.map(|point| (point.attributes["ioconnect.process.role"].clone(), point.value)).collect()
}

/// Without a platform, the counts are exported as 0.
#[test]
fn platform_not_running_exports_zero() {
    let exports = Exports::new();
    let connect =
        ConnectSettings { process_names: vec!["there-is-no-such-program".to_owned()], ..ConnectSettings::default() };
    let source = ProcessSource::new(&exports.provider, &settings(), &connect, &Pause::default()).unwrap();
    let points = wait_for("two looks", || {
        let points = exports.export();
        (by_role(&points, "process.cpu.utilization").len() == 1).then_some(points)
    });
    assert_as_documented(&points);
    for name in ["ioconnect.process.count", "process.memory.usage", "process.cpu.time", "process.cpu.utilization"] {
        assert_eq!(by_role(&points, name), BTreeMap::from([("main".to_owned(), 0.0)]), "{name}");
    }
    assert_eq!(source.latest().platforms(), 0);
}

/// A process that ends with the test and ends its children first.
#[cfg(unix)]
struct Running(Child);

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        // The shell exits when its input is closed, and ends its children first.
        drop(self.0.stdin.take());
        _ = self.0.wait();
    }
}

#[cfg(unix)]
fn copied_shell(folder: &Path, name: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    std::fs::copy("/bin/sh", &path).unwrap();
    path
}

/// Real processes that are named and nested like a platform (with launcher, Electron children and a
/// native app) are found with their roles, and their CPU time is counted. When all have ended, the
/// counts are 0 and the CPU time stays.
#[cfg(unix)]
#[test]
fn real_process_tree_gets_roles() {
    let dir = tempfile::tempdir().unwrap();
    let install = dir.path().join("install");
    let platform = copied_shell(&install, "test-io-connect-desktop");
    let inner = copied_shell(&install, "test-io-connect-desktop-inner");
    let crash_handler = copied_shell(&install, "crash_handler");
    let native = copied_shell(&dir.path().join("apps"), "blotter");

    // Each shell uses some CPU time, starts its children, and waits until its input is closed.
    // `read` is a shell builtin, so there are no further processes. A shell treats arguments after
    // the script as plain arguments.
    let wait = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; read _ <&3; exit 0";
    let child = |program: &Path, argument: &str| format!("'{}' -c '{wait}' x {argument} 3<&3 & ", program.display());
    let inner_script = [
        child(&inner, "--type=renderer"),
        child(&inner, "--type=renderer"),
        child(&inner, "--type=gpu-process"),
        child(&inner, "--type=utility"),
        child(&crash_handler, ""),
        child(&native, ""),
    ]
    .concat();
    let script_file = dir.path().join("main.sh");
    std::fs::write(&script_file, format!("{inner_script}\nread _ <&3\nwait\n")).unwrap();
    let launcher_script = format!("exec 3<&0; '{}' '{}' config=x & wait", inner.display(), script_file.display());

    let exports = Exports::new();
    let names = ["Test-io-connect-desktop.exe", "test-io-connect-desktop-inner"].map(String::from).to_vec();
    let connect = ConnectSettings { process_names: names, ..ConnectSettings::default() };
    let source = ProcessSource::new(&exports.provider, &settings(), &connect, &Pause::default()).unwrap();
    wait_for("the first look", || source.latest().roles.get(&Role::Main).copied());

    let mut command = Command::new(&platform);
    command.args(["-c", &launcher_script, "x", "--", "config=system.json"]).stdin(Stdio::piped());
    let running = Running(command.spawn().unwrap());
    let expected: BTreeMap<String, f64> =
        [("main", 1.0), ("renderer", 2.0), ("gpu", 1.0), ("utility", 1.0), ("native", 1.0), ("other", 2.0)]
            .map(|(role, count)| (role.to_owned(), count))
            .into();
    let points = wait_for("the whole tree and its CPU time", || {
        let points = exports.export();
        let burnt = by_role(&points, "process.cpu.time").get("renderer").is_some_and(|seconds| *seconds > 0.0);
        (by_role(&points, "ioconnect.process.count") == expected && burnt).then_some(points)
    });
    assert_as_documented(&points);
    assert!(by_role(&points, "process.memory.usage").values().all(|bytes| *bytes > 0.0));
    assert_eq!(source.latest().platforms(), 1);

    let before = by_role(&points, "process.cpu.time");
    drop(running);
    let points = wait_for("the end of all", || {
        let points = exports.export();
        by_role(&points, "ioconnect.process.count").values().all(|count| *count == 0.0).then_some(points)
    });
    assert!(by_role(&points, "process.memory.usage").values().all(|bytes| *bytes == 0.0));
    let after = by_role(&points, "process.cpu.time");
    assert!(before.iter().all(|(role, seconds)| after[role] >= *seconds), "{before:?} {after:?}");
}
