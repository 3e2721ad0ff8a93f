//! Programs for Windows: cross-built, and tried under Wine.

use std::path::PathBuf;

use anyhow::Result;

use crate::step::{command, run, step, target};
use crate::{installer, machine};

/// The target of cross-building: what the linker of MinGW-w64 makes.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// How programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly, for tests.
    Debug,
    /// As they are shipped.
    Release,
}

/// Tests of the library that Wine, not the agent, makes fail, and what it does otherwise than Windows. They run on Windows.
const NOT_UNDER_WINE: [&str; 6] = [
    // The time at which a file was made is the time of its last change.
    "sources::logs::tests::lines_written_after_withdrawal_are_never_read",
    "sources::logs::tests::rotation::copy_of_read_file_is_not_read",
    // A file that is deleted keeps its name until the last handle to it is closed, as on Windows before version 1809.
    "sources::logs::tests::rotation::recreated_file_is_read_from_start",
    "sources::logs::tests::rotation::file_renamed_compressed_and_deleted_is_read_to_end",
    "sources::logs::tests::rotation::recreated_folder_is_tailed",
    // A program that is started from outside has no parent.
    "sources::processes::list::tests::this_process",
];

/// `cargo xtask windows`.
pub(crate) fn show() -> Result<()> {
    let folder = build(Profile::Release)?;
    for name in ["insights-agent.exe", "insights-tray.exe"] {
        let file = folder.join(name);
        println!("{} ({} KiB)", file.display(), std::fs::metadata(&file)?.len() / 1024);
    }
    Ok(())
}

/// Builds both programs; returns the folder that they are in.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let environment = if cfg!(windows) { Vec::new() } else { machine::windows_std()? };
    step("Build for Windows", || {
        let mut cargo =
            command(&["cargo", "build", "--quiet", "--package", "insights-agent", "--package", "insights-tray"]);
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        run(cargo.envs(environment))
    })?;
    let target = if cfg!(windows) { target() } else { target().join(TARGET) };
    Ok(target.join(if profile == Profile::Release { "release" } else { "debug" }))
}

/// `cargo xtask windows-test`.
pub(crate) fn test() -> Result<()> {
    let mut environment = prepare()?;
    environment.extend(machine::receivers()?);
    step("The agent and its installer under Wine", || {
        let words = [
            "cargo",
            "test",
            "--package",
            "insights-agent-tests",
            "--test",
            "windows",
            "--test",
            "policy",
            "--test",
            "installer",
        ];
        run(command(&words).envs(environment))
    })
}

/// Runs the library's tests under Wine, and returns what the end-to-end tests need, as the environment that names it.
pub(crate) fn prepare() -> Result<Vec<(&'static str, String)>> {
    let programs = build(Profile::Debug)?;
    let wine = machine::wine()?;
    let mut library = machine::windows_std()?;
    library.push(("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "xvfb-run -a wine".to_owned()));
    library.push(("INSTA_UPDATE", "no".to_owned()));
    step("The library's tests under Wine", || {
        let words = ["cargo", "test", "--quiet", "--package", "insights-agent", "--lib", "--", "--exact"];
        let left_out = NOT_UNDER_WINE.iter().flat_map(|test| ["--skip", test]);
        run(command(&words).args(left_out).envs(library).envs(wine.clone()))
    })?;
    let mut environment = wine;
    environment.push(("INSIGHTS_WINDOWS_PROGRAMS", programs.display().to_string()));
    environment.push(("INSIGHTS_INSTALLERS", installer::for_tests(&programs)?.display().to_string()));
    Ok(environment)
}
