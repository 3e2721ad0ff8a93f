//! The list of components in the programs, for the help page of the window: `ui/licences.js`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

use crate::step::{command, root};

const FILE: &str = "ui/licences.js";
const HEAD: &str = "\
// The components that this program is built with: name, version, licence, source. Made by `cargo xtask licences`.

export const licences = [
";

/// Writes the file.
pub(crate) fn write() -> Result<()> {
    Ok(std::fs::write(root().join(FILE), list()?)?)
}

/// Checks that the file is current.
pub(crate) fn check() -> Result<()> {
    let found = std::fs::read_to_string(root().join(FILE)).unwrap_or_default().replace("\r\n", "\n");
    if found != list()? {
        bail!("{FILE} is out of date; run `cargo xtask licences`");
    }
    Ok(())
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
    let text = String::from_utf8(output.stdout).context("cargo tree wrote no text")?;
    let mut components = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim_end_matches(" (*)");
        let (package, rest) = line.split_once('|').unwrap_or((line, ""));
        let (licence, source) = rest.split_once('|').unwrap_or((rest, ""));
        let mut words = package.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !name.is_empty() && !name.starts_with("insights-") {
            let source = source.trim_end_matches(" (*)");
            components.insert([name, version.trim_start_matches('v'), licence, source].map(str::to_owned));
        }
    }
    let mut list = HEAD.to_owned();
    for component in components {
        writeln!(list, "  {},", serde_json::to_string(&component)?)?;
    }
    list.push_str("];\n");
    Ok(list)
}
