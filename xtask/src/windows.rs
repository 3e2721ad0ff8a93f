//! Programs for Windows: cross-compiled, and tested under Wine.

use std::path::PathBuf;

use anyhow::Result;

use crate::step::{command, run, step, target};
use crate::{installer, licences, machine, suite};

/// Target of the cross-compiler: programs that MinGW-w64 links.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// What is shipped for Windows. Commands that build for it always name both: cargo chooses the
/// features of dependencies for all named packages together, and would compile many of them once
/// more for one package alone.
const PACKAGES: [&str; 4] = ["--package", "insights-agent", "--package", "insights-tray"];

/// Profile of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// For tests: quick to build.
    Debug,
    /// For shipping.
    Release,
}

/// Tests of the library that fail because Wine differs from Windows, with the difference. They run
/// on Windows.
const NOT_UNDER_WINE: [&str; 6] = [
    // The creation time of a file is the time of its last change.
    "sources::logs::tests::lines_written_after_withdrawal_are_never_read",
    "sources::logs::tests::rotation::copy_of_read_file_is_not_read",
    // A deleted file keeps its name until its last handle is closed, as on Windows before version
    // 1809.
    "sources::logs::tests::rotation::recreated_file_is_read_from_start",
    "sources::logs::tests::rotation::file_renamed_compressed_and_deleted_is_read_to_end",
    "sources::logs::tests::rotation::recreated_folder_is_tailed",
    // A program that was started from outside Wine has no parent.
    "sources::processes::list::tests::own_process_has_details",
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

/// Builds both programs, and returns their folder. The debug profile also builds their tests, and
/// reports lints.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let mut environment = if cfg!(windows) { Vec::new() } else { machine::windows_std()? };
    let (name, targets): (_, &[&str]) = match profile {
        Profile::Debug => ("Build and lint for Windows", &["--lib", "--bins", "--tests"]),
        Profile::Release => ("Build for Windows", &["--release"]),
    };
    if profile == Profile::Debug {
        environment.extend(suite::lints());
    }
    licences::write()?;
    step(name, || run(command(&["cargo", "build", "--quiet"]).args(PACKAGES).args(targets).envs(environment)))?;
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

/// Runs the library's tests under Wine, and returns the environment variables of the end-to-end
/// tests under Wine.
pub(crate) fn prepare() -> Result<Vec<(&'static str, String)>> {
    let programs = build(Profile::Debug)?;
    let wine = machine::wine()?;
    let mut library = machine::windows_std()?;
    library.extend(suite::lints());
    library.push(("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "xvfb-run -a wine".to_owned()));
    library.push(("INSTA_UPDATE", "no".to_owned()));
    step("The library's tests under Wine", || {
        let left_out = NOT_UNDER_WINE.iter().flat_map(|test| ["--skip", test]);
        let mut tests = command(&["cargo", "test", "--quiet"]);
        tests.args(PACKAGES).args(["--lib", "--", "--exact"]).args(left_out);
        run(tests.envs(library).envs(wine.clone()))
    })?;
    let mut environment = wine;
    environment.push(("INSIGHTS_WINDOWS_PROGRAMS", programs.display().to_string()));
    environment.push(("INSIGHTS_INSTALLERS", installer::for_tests(&programs)?.display().to_string()));
    Ok(environment)
}
