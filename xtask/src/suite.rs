//! Everything that has to pass before a commit.
//!
//! Most of the time is compiling, so every dependency is compiled once for each system:
//! `cargo build --all-targets` with clippy's driver as the compiler of the workspace (see
//! [`lints`]) reports the lints and produces the programs and tests. A `cargo clippy` beside the
//! build would compile all dependencies a second time, because it only checks them.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow, bail};

use crate::step::{command, print_steps, program, run, step, target};
use crate::windows::Profile;
use crate::{deb, house, licences, machine, windows};

/// `cargo xtask test`.
pub(crate) fn test(quick: bool) -> Result<()> {
    if quick && std::env::var_os("CI").is_some() {
        bail!("--quick leaves tests out, which must not happen in CI");
    }
    let result = all(quick || cfg!(windows));
    print_steps();
    result
}

fn all(quick: bool) -> Result<()> {
    check_sources()?;
    if cfg!(target_os = "linux") {
        machine::install_for_tests(quick)?;
    }
    let tools = machine::tools()?;
    let mut environment = lints();
    thread::scope(|scope| {
        // Downloads wait for the network, so they run while the programs are compiled.
        let receivers = (!quick).then(|| scope.spawn(machine::receivers));
        step("Build and lint", || {
            run(command(&["cargo", "build", "--quiet", "--workspace", "--all-targets"]).envs(lints()))
        })?;
        check_dependencies(&tools)?;
        if quick {
            println!("Left out: the tests with the real collector, VictoriaMetrics, the Python decoder and Wine.");
            environment.push(("INSIGHTS_SKIP_RECEIVERS", "1".to_owned()));
            environment.push(("INSIGHTS_SKIP_WINE", "1".to_owned()));
        } else {
            environment.extend(windows::prepare()?);
        }
        if let Some(receivers) = receivers {
            environment.extend(receivers.join().map_err(|_| anyhow!("the downloads panicked"))??);
        }
        anyhow::Ok(())
    })?;
    environment.push(("INSIGHTS_AGENT_BIN", program("debug").display().to_string()));
    if !quick && cfg!(target_os = "linux") {
        let package = step("Make the package for Debian", || deb::make(Profile::Debug, &target().join("installers")))?;
        environment.push(("INSIGHTS_DEB", package.display().to_string()));
    }
    step("Tests", || {
        let words = ["cargo", "nextest", "run", "--workspace"];
        run(command(&words).envs(environment).env("PATH", &tools).env("INSTA_UPDATE", "no"))
    })
}

/// `cargo xtask lint`.
pub(crate) fn lint() -> Result<()> {
    check_sources()?;
    if cfg!(target_os = "linux") {
        machine::webview()?;
    }
    step("Lints", || {
        run(&mut command(&["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    check_dependencies(&machine::tools()?)
}

/// What needs no compiler: a second.
fn check_sources() -> Result<()> {
    step("Format", || run(&mut command(&["cargo", "fmt", "--all", "--check"])))?;
    step("House style", house::check)?;
    // Before the build that the lints need: a changed list means a new build of the tray program.
    step("List of components", licences::write)
}

fn check_dependencies(tools: &std::ffi::OsStr) -> Result<()> {
    step("Licences, bans, sources", || {
        let words = ["cargo", "deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
        run(command(&words).env("PATH", tools))
    })
}

/// Environment variables by which a build of the workspace also reports its lints and fails on a
/// warning, as `cargo clippy -- -D warnings` sets them. Dependencies are compiled as in any other
/// build. Without optimisation the driver compiles the same programs as rustc does; what is shipped
/// is never built with it.
pub(crate) fn lints() -> Vec<(&'static str, String)> {
    let cargo = std::env::var("CARGO").unwrap_or_default();
    let driver = Path::new(&cargo).with_file_name(format!("clippy-driver{}", std::env::consts::EXE_SUFFIX));
    let driver = if driver.is_absolute() && driver.exists() { driver } else { "clippy-driver".into() };
    vec![
        ("RUSTC_WORKSPACE_WRAPPER", driver.display().to_string()),
        ("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__".to_owned()),
    ]
}

/// `cargo xtask windows-check`.
pub(crate) fn windows_check() -> Result<()> {
    let environment = machine::windows_std()?;
    step("Lints for Windows", || {
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
