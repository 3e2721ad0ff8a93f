//! `cargo xtask release`: writes all files of a release to dist/.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::deb::SCHEMA;
use crate::installer::{self, Scope};
use crate::sign::Signer;
use crate::step::{command, root, run, step};
use crate::windows::{self, Profile};
use crate::{deb, machine};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds, signs and packs the programs, and writes licences and the bill of materials.
pub(crate) fn run_release() -> Result<()> {
    let dist = root().join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir_all(&dist)?;
    let signer = Signer::from_environment()?;
    if signer.is_none() {
        println!("Programs and installers are not signed: neither SIGN_COMMAND nor SIGN_PKCS12 is set.");
    }
    let sign = |file: &Path| signer.as_ref().map_or(Ok(()), |signer| signer.sign(file));

    let programs = windows::build(Profile::Release)?;
    // A copy is signed, because cargo would rebuild a program that has changed.
    let stage = dist.join("windows");
    fs::create_dir_all(&stage)?;
    for name in ["insights-agent.exe", "insights-tray.exe", "WebView2Loader.dll"] {
        let from = programs.join(name);
        if from.exists() {
            fs::copy(&from, stage.join(name))?;
        }
    }
    step("Sign and pack for Windows", || {
        for name in ["insights-agent.exe", "insights-tray.exe"] {
            sign(&stage.join(name))?;
        }
        for scope in Scope::ALL {
            sign(&installer::make(&stage, VERSION, scope, &dist)?)?;
        }
        Ok(())
    })?;
    fs::remove_dir_all(&stage)?;
    if cfg!(target_os = "linux") {
        deb::show()?;
    }
    step("Policies, licences, bill of materials", || {
        run(command(&["cp", "-r"]).arg(root().join("installer/policy")).arg(&dist))?;
        fs::copy(root().join(SCHEMA), dist.join("settings.schema.json"))?;
        fs::write(dist.join("THIRD-PARTY-LICENCES.txt"), licences()?)?;
        bill_of_materials(&dist)
    })?;
    run(command(&[
        "sh",
        "-c",
        "find . -type f ! -name SHA256SUMS -printf '%P\\n' | sort | xargs -d '\\n' sha256sum > SHA256SUMS",
    ])
    .current_dir(&dist))?;
    run(command(&["ls", "-l"]).arg(&dist))
}

/// Writes a `CycloneDX` file for the tray program, which contains all components.
fn bill_of_materials(dist: &Path) -> Result<()> {
    machine::cargo_program("cargo-cyclonedx")?;
    let name = format!("insights-agent-{VERSION}.cdx");
    let words =
        ["cargo", "cyclonedx", "--quiet", "--format", "json", "--all", "--target", "all", "--override-filename"];
    run(command(&words).arg(&name).arg("--manifest-path").arg(root().join("src-tauri/Cargo.toml")))?;
    // cargo-cyclonedx writes a file beside every manifest of the workspace.
    for member in ["agent", "src-tauri", "tests", "tests/faults", "tests/fleet", "tests/support", "xtask"] {
        let file = root().join(member).join(format!("{name}.json"));
        if member == "src-tauri" {
            fs::copy(&file, dist.join(format!("{name}.json")))?;
        }
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Returns the licence texts of all components, on any system, as the crates contain them.
fn licences() -> Result<String> {
    let metadata =
        command(&["cargo", "metadata", "--locked", "--format-version", "1"]).stderr(Stdio::inherit()).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).context("cargo metadata")?;
    let words = ["cargo", "tree", "--locked", "--package", "insights-tray", "--edges", "normal", "--target", "all"];
    let tree = command(&[words.as_slice(), &["--prefix", "none", "--format", "{p}"]].concat()).output()?;
    let tree = String::from_utf8(tree.stdout).context("cargo tree did not write UTF-8")?;
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            wanted.insert((name, version.trim_start_matches('v')));
        }
    }
    let mut out = format!("Third-party components of Insights Agent {VERSION}, and their licences.\n");
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |field: &str| package[field].as_str().unwrap_or_default();
        if package["source"].is_null() || !wanted.contains(&(text("name"), text("version"))) {
            continue;
        }
        let rule = "=".repeat(80);
        writeln!(out, "\n{rule}\n{} {} - {}\n{}", text("name"), text("version"), text("license"), text("repository"))?;
        let folder = Path::new(text("manifest_path")).parent().context("a manifest is in a folder")?;
        let mut files: Vec<_> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            let is_licence =
                ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|start| name.starts_with(start));
            if is_licence && file.is_file() {
                writeln!(out, "\n{}", String::from_utf8_lossy(&fs::read(&file)?))?;
            }
        }
    }
    Ok(out)
}
