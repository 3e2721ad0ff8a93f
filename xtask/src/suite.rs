//! What has to be green before a commit.

use anyhow::{Result, bail};

use crate::step::{command, program, run, step, target};
use crate::windows::Profile;
use crate::{deb, licences, machine, windows};

/// `cargo xtask test`.
pub(crate) fn test(quick: bool) -> Result<()> {
    if quick && std::env::var_os("CI").is_some() {
        bail!("--quick leaves tests out, which must not happen in CI");
    }
    lint()?;
    if cfg!(target_os = "linux") {
        machine::desktop()?;
    }
    if !cfg!(windows) {
        windows_check()?;
    }
    let mut environment = Vec::new();
    if quick || cfg!(windows) {
        println!("The tests with the real collector, VictoriaMetrics, the Python decoder and Wine are left out.");
        environment.push(("INSIGHTS_SKIP_RECEIVERS", "1".to_owned()));
        environment.push(("INSIGHTS_SKIP_WINE", "1".to_owned()));
    } else {
        environment = machine::receivers()?;
        environment.extend(windows::prepare()?);
        machine::faketime()?;
        machine::package_manager()?;
        machine::browser()?;
        machine::proxies()?;
    }
    step("Build the programs", || {
        run(&mut command(&["cargo", "build", "--package", "insights-agent", "--package", "insights-tray"]))
    })?;
    environment.push(("INSIGHTS_AGENT_BIN", program("debug").display().to_string()));
    if !quick && cfg!(target_os = "linux") {
        let package = step("Make the package for Debian", || deb::make(Profile::Debug, &target().join("installers")))?;
        environment.push(("INSIGHTS_DEB", package.display().to_string()));
    }
    step("Tests", || run(command(&["cargo", "test", "--workspace"]).envs(environment).env("INSTA_UPDATE", "no")))
}

/// `cargo xtask lint`.
pub(crate) fn lint() -> Result<()> {
    if cfg!(target_os = "linux") {
        machine::webview()?;
    }
    step("Format", || run(&mut command(&["cargo", "fmt", "--all", "--check"])))?;
    step("Lints", || {
        run(&mut command(&["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    step("List of components", licences::check)?;
    machine::cargo_program("cargo-deny")?;
    step("Licences, bans, sources", || {
        run(&mut command(&["cargo", "deny", "--log-level", "error", "check", "licenses", "bans", "sources"]))
    })
}

/// `cargo xtask windows-check`.
pub(crate) fn windows_check() -> Result<()> {
    let environment = machine::windows_std()?;
    step("Check for Windows", || {
        let packages = ["--package", "insights-agent", "--package", "insights-tray"];
        let words = [&["cargo", "clippy"], &packages[..], &["--quiet", "--", "-D", "warnings"]].concat();
        run(command(&words).envs(environment))
    })
}

/// `cargo xtask receivers`.
pub(crate) fn receivers() -> Result<()> {
    for (name, value) in machine::receivers()? {
        println!("export {name}={value}");
    }
    Ok(())
}
