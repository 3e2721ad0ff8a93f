//! Scenario: the package for Debian and Ubuntu is installed into an empty root folder, used, and
//! purged.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::receiver::Receiver;
use test_support::test_env::{Running, TestEnv, text};
use test_support::{peer, wait_for};

/// Runs dpkg on a root folder, with fakeroot as its administrator.
fn dpkg(root: &Path, words: &[&str]) {
    let mut command = Command::new("fakeroot");
    // The dependencies are installed on this machine and not in that folder.
    command.args(["dpkg", "--force-depends", "--force-not-root", "--log=/dev/null"]);
    let output = command.arg(format!("--root={}", root.display())).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Guarantees: the package installs both programs, the menu entry and the autostart entry. The
/// installed agent delivers. A purge leaves no file behind.
#[test]
fn package_install_works_and_purge_removes_everything() {
    let Some(package) = peer("INSIGHTS_DEB") else { return };
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("var/lib/dpkg/status"), "").unwrap();
    dpkg(root.path(), &["--install", &package]);

    for entry in ["usr/share/applications/insights-agent.desktop", "etc/xdg/autostart/Insights Agent.desktop"] {
        let entry = fs::read_to_string(at(entry)).unwrap();
        let exec = entry.lines().find_map(|line| line.strip_prefix("Exec=/")).unwrap();
        assert!(at(exec).exists(), "{exec}");
        let icon = entry.lines().find_map(|line| line.strip_prefix("Icon=")).unwrap();
        assert!(at(&format!("usr/share/icons/hicolor/256x256/apps/{icon}.png")).exists(), "{icon}");
    }
    let receiver = Receiver::start();
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    let installed = at("usr/bin/insights-agent");
    let agent: Running = env.start_as(env.command_of(&installed, &["run"]));
    wait_for("metrics", || (receiver.metrics() > 0).then_some(()));
    let stopped = env.command_of(&installed, &["stop"]).output().unwrap();
    assert!(stopped.status.success(), "{}", text(&stopped.stderr));
    assert!(agent.wait().success());

    dpkg(root.path(), &["--purge", "insights-agent"]);
    let left: Vec<_> = files(root.path()).into_iter().filter(|file| !file.starts_with(at("var/lib/dpkg"))).collect();
    assert!(left.is_empty(), "{left:?}");
}
