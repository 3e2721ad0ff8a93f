//! The package for Debian and Ubuntu: both programs, a menu entry, and an autostart entry of the
//! tray program for every user.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::step::{command, root, run, step, target};
use crate::windows::Profile;
use crate::{licences, machine};

/// JSON Schema of the settings file, below the root of the repository.
pub(crate) const SCHEMA: &str = "installer/settings.schema.json";

/// Debian packages of the libraries of the tray program. libayatana-appindicator3 is loaded while
/// it runs.
const DEPENDS: &str = "libc6, libgtk-3-0 | libgtk-3-0t64, libwebkit2gtk-4.1-0, libayatana-appindicator3-1";

/// `cargo xtask deb`.
pub(crate) fn show() -> Result<()> {
    machine::webview()?;
    licences::write()?;
    step("Build for Linux", || {
        let build =
            ["cargo", "build", "--quiet", "--release", "--package", "insights-agent", "--package", "insights-tray"];
        run(&mut command(&build))
    })?;
    let file = make(Profile::Release, &root().join("dist"))?;
    println!("{} ({} KiB)", file.display(), fs::metadata(&file)?.len() / 1024);
    Ok(())
}

/// Makes the package from programs that are already built, and returns its file.
pub(crate) fn make(profile: Profile, into: &Path) -> Result<PathBuf> {
    // Debug programs are large, and compression would take longer than the tests gain.
    let (programs, compression) = match profile {
        Profile::Debug => (target().join("debug"), "-Znone"),
        Profile::Release => (target().join("release"), "-Zxz"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let stage = target().join("deb-stage");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    let entry = root().join("installer/linux/insights-agent.desktop");
    let files = [
        (programs.join("insights-agent"), "usr/bin/insights-agent", "755"),
        (programs.join("insights-tray"), "usr/bin/insights-tray", "755"),
        (entry.clone(), "usr/share/applications/insights-agent.desktop", "644"),
        // The user's own autostart entry has the same name, and so replaces this one.
        (entry, "etc/xdg/autostart/Insights Agent.desktop", "644"),
        (root().join(SCHEMA), "usr/share/insights-agent/settings.schema.json", "644"),
        (root().join("icons/generated/icon.png"), "usr/share/icons/hicolor/256x256/apps/insights-agent.png", "644"),
    ];
    for (from, to, mode) in &files {
        let to = stage.join(to);
        fs::create_dir_all(to.parent().context("every file of the package has a folder")?)?;
        run(command(&["install", "-m", mode]).arg(from).arg(&to))?;
    }
    let control = stage.join("DEBIAN");
    fs::create_dir_all(&control)?;
    let size = files.iter().map(|(from, ..)| fs::metadata(from).map_or(0, |file| file.len())).sum::<u64>() / 1024;
    fs::write(
        control.join("control"),
        format!(
            "Package: insights-agent\nVersion: {version}\nArchitecture: amd64\nSection: utils\nPriority: optional\n\
             Maintainer: Insights Agent\nInstalled-Size: {size}\nDepends: {DEPENDS}\n\
             Description: desktop observability for io.Connect\n \
             Measures CPU and memory of the computer and of io.Connect, follows its log files\n \
             once the user shares them, and sends everything as OTLP through a durable queue.\n"
        ),
    )?;
    fs::write(control.join("conffiles"), "/etc/xdg/autostart/Insights Agent.desktop\n")?;
    fs::create_dir_all(into)?;
    let file = into.join(format!("insights-agent_{version}_amd64.deb"));
    let mut build = command(&["dpkg-deb", "--root-owner-group", compression, "--build"]);
    run(build.arg(&stage).arg(&file).stdout(std::process::Stdio::null()))?;
    fs::remove_dir_all(&stage)?;
    Ok(file)
}
