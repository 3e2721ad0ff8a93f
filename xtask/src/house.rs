//! The project's own source checks, run by `cargo xtask lint`.
//!
//! | check | rule |
//! |---|---|
//! | [`words`] | no phrase that the house style has replaced |
//! | [`layers`] | modules of the agent import only from modules below them |
//! | [`comments`] | comments are at most 100 columns wide |
//! | [`manifests`] | dependency tables are sorted, with one feature per line |
//!
//! Every finding names the file and line, what is wrong, and what to do.

mod comments;
mod layers;
mod manifests;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::step::root;

/// Folders that hold nothing written by hand.
const SKIPPED_FOLDERS: [&str; 5] = ["target", "dist", "generated", "gen", "node_modules"];

/// One violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path below the root of the repository.
    file: PathBuf,
    /// Line, from 1.
    line: usize,
    /// What is wrong and what to do.
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

/// A text file of the repository.
#[derive(Debug)]
struct Source {
    /// Path below the root of the repository.
    path: PathBuf,
    text: String,
}

impl Source {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
    }

    fn finding(&self, line: usize, message: String) -> Finding {
        Finding { file: self.path.clone(), line, message }
    }
}

/// Runs all checks on the repository.
///
/// # Errors
/// When a file cannot be read, or a rule is violated.
pub(crate) fn check() -> Result<()> {
    let sources = read(root())?;
    let mut findings = structure(&sources)?;
    findings.extend(words::check(&sources));
    findings.extend(comments::check(&sources));
    report(&findings)
}

fn structure(sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = layers::check(sources)?;
    findings.extend(manifests::check(sources));
    Ok(findings)
}

fn report(findings: &[Finding]) -> Result<()> {
    for finding in findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { bail!("violations of the house style: {}", findings.len()) }
}

/// Reads all text files below `root` that were written by hand.
fn read(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&name.as_ref()) {
                    folders.push(entry.path());
                }
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                // What is not UTF-8, such as an icon, holds no text to check.
                let path = entry.path().strip_prefix(root)?.to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

/// Returns whether a file of Rust code is compiled for tests only.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}
