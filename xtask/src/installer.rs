//! Installers for Windows, made by wixl from installer/insights-agent.wxs.

mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::machine;
use crate::step::{command, root, run, step, target};
use crate::windows::{self, Profile};

/// Version of the programs.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A later version, for the tests of upgrades. Wine reads major versions from 128 on as negative.
const LATER: &str = "99.0.0";

/// For whom the programs are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// For all users. Needs an administrator.
    Machine,
    /// Only the user who installs.
    User,
}

impl Scope {
    pub(crate) const ALL: [Self; 2] = [Self::Machine, Self::User];

    const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::User => "user",
        }
    }
}

/// `cargo xtask msi`.
pub(crate) fn show() -> Result<()> {
    let programs = windows::build(Profile::Release)?;
    for scope in Scope::ALL {
        let file = make(&programs, VERSION, scope, &root().join("dist"))?;
        println!("{} ({} KiB)", file.display(), fs::metadata(&file)?.len() / 1024);
    }
    Ok(())
}

/// Makes this version and a later one, for both scopes, and returns their folder.
pub(crate) fn for_tests(programs: &Path) -> Result<PathBuf> {
    let folder = target().join("installers");
    step("Build installers", || {
        for scope in Scope::ALL {
            for version in [VERSION, LATER] {
                make(programs, version, scope, &folder)?;
            }
        }
        Ok(())
    })?;
    Ok(folder)
}

/// Makes an installer from the programs in a folder, and returns its file.
pub(crate) fn make(programs: &Path, version: &str, scope: Scope, into: &Path) -> Result<PathBuf> {
    machine::installer()?;
    // wixl accepts only files in its working directory.
    let stage = target().join("installer-stage");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    fs::create_dir_all(&stage)?;
    let copy = |from: &Path| -> Result<()> {
        let name = from.file_name().context("a file has a name")?;
        fs::copy(from, stage.join(name)).with_context(|| format!("failed to copy {}", from.display()))?;
        Ok(())
    };
    for name in ["insights-agent.exe", "insights-tray.exe"] {
        copy(&programs.join(name))?;
    }
    let loader = programs.join("WebView2Loader.dll");
    if loader.exists() {
        copy(&loader)?;
    }
    copy(&root().join("icons/generated/icon.ico"))?;

    fs::create_dir_all(into)?;
    let file = into.join(format!("insights-agent-{version}-{}.msi", scope.name()));
    let define = |name: &str, value: &str| ["-D".to_owned(), format!("{name}={value}")];
    let source = root().join("installer");
    let mut wixl = command(&["wixl", "--arch", "x64", "-o"]);
    wixl.arg(&file).current_dir(&stage);
    wixl.args(define("Version", version)).args(define("Scope", scope.name())).args(define("Builder", "wixl"));
    wixl.args(define("Loader", if loader.exists() { "yes" } else { "no" }));
    // wixl prints warnings even on success, so they are shown only on failure.
    let output = wixl.arg("-I").arg(&source).arg(source.join("insights-agent.wxs")).output()?;
    anyhow::ensure!(output.status.success(), "wixl: {}", String::from_utf8_lossy(&output.stderr));

    let mut msibuild = command(&["msibuild"]);
    run(msibuild.arg(&file).args(tables::changes().iter().flat_map(|query| ["-q", query])))?;
    fs::remove_dir_all(&stage)?;
    Ok(file)
}
