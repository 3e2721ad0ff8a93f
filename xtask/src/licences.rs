//! The list of components for the window's help page: `ui/licences.js`.
//!
//! The file is not committed. Every xtask command that builds the tray program writes it first; a
//! plain `cargo build` without it gets an empty list from src-tauri/build.rs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

use crate::step::{command, root};

const FILE: &str = "ui/licences.js";
const HEAD: &str = "\
// The components of this program: name, version, licence, source. Written by `cargo xtask
// licences`.

export const licences = [
";

/// Writes the list if it differs from the one that is there: a newer file means a new build.
pub(crate) fn write() -> Result<()> {
    let file = root().join(FILE);
    let list = list()?;
    if std::fs::read_to_string(&file).is_ok_and(|before| before == list) {
        return Ok(());
    }
    std::fs::write(&file, list).with_context(|| format!("failed to write {}", file.display()))
}

/// Returns the dependencies of the tray program, on Windows and on Linux.
fn list() -> Result<String> {
    let words = ["cargo", "tree", "--locked", "--package", "insights-tray", "--edges", "normal"];
    let systems = ["--target", "x86_64-pc-windows-gnu", "--target", "x86_64-unknown-linux-gnu"];
    let format = ["--prefix", "none", "--format", "{p}|{l}|{r}"];
    let output = command(&[words.as_slice(), &systems, &format].concat()).current_dir(root()).output()?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("cargo tree did not write UTF-8")?;
    let components = components(&text);
    if components.is_empty() {
        bail!("cargo tree lists no components");
    }
    let mut list = HEAD.to_owned();
    for component in components {
        writeln!(list, "  {},", serde_json::to_string(&component)?)?;
    }
    list.push_str("];\n");
    Ok(list)
}

/// Reads the lines of `cargo tree`: name, version, licence and source of each package that is not
/// part of this workspace.
fn components(tree: &str) -> BTreeSet<[String; 4]> {
    let mut components = BTreeSet::new();
    for line in tree.lines() {
        // Packages that were listed before end with this mark.
        let line = line.trim_end_matches(" (*)");
        let (package, rest) = line.split_once('|').unwrap_or((line, ""));
        let (licence, source) = rest.split_once('|').unwrap_or((rest, ""));
        let mut words = package.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !name.is_empty() && !name.starts_with("insights-") {
            components.insert([name, version.trim_start_matches('v'), licence, source].map(str::to_owned));
        }
    }
    components
}
