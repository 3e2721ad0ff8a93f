//! One-way modules: a module of the agent imports only from modules below it.
//!
//! The order is the table "Layers" in the docs of `agent/src/lib.rs`, lowest first. Within a row a
//! module may use those to its left. So no cycle can arise.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Finding, Source, is_test};

const LIBRARY: &str = "agent/src";

/// Heading of the table in the docs of `lib.rs`.
const HEADING: &str = "//! # Layers";

/// Finds imports that point up, and modules that the table does not have.
pub(super) fn check(sources: &[Source]) -> Result<Vec<Finding>> {
    let library = sources.iter().find(|source| source.path == Path::new(LIBRARY).join("lib.rs"));
    let library = library.context("agent/src/lib.rs is missing")?;
    let order = order(&library.text)?;
    let mut findings = Vec::new();
    for (number, line) in library.text.lines().enumerate() {
        let declared = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "));
        if let Some(module) = declared.and_then(|rest| rest.strip_suffix(';'))
            && !order.contains_key(module)
        {
            let message = format!("module `{module}` is missing in the table of layers above; add it with a reason");
            findings.push(library.finding(number + 1, message));
        }
    }
    for source in sources {
        let Ok(path) = source.path.strip_prefix(LIBRARY) else { continue };
        if is_test(path) || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let Some(own) = order.get(module_of(path)) else { continue };
        for (line, used) in imports(&source.text, is_top_level(path)) {
            if order.get(used.as_str()).is_some_and(|used| used > own) {
                let message = format!(
                    "`{}` is below `{used}` and must not use it; move what both need into a lower module (order: {LIBRARY}/lib.rs)",
                    module_of(path)
                );
                findings.push(source.finding(line, message));
            }
        }
    }
    Ok(findings)
}

/// The place of each module in the order.
fn order(docs: &str) -> Result<BTreeMap<String, usize>> {
    let table = docs.lines().skip_while(|line| *line != HEADING).skip(1);
    let table = table.take_while(|line| line.starts_with("//!") && !line.starts_with("//! #"));
    let rows = table.filter_map(|line| line.strip_prefix("//! |"));
    let modules: Vec<String> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches(['[', ']', '`']).to_owned()))
        .filter(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9'))
        })
        .collect();
    ensure!(!modules.is_empty(), "the docs of {LIBRARY}/lib.rs have no table below `{HEADING}`");
    Ok(modules.into_iter().enumerate().map(|(place, name)| (name, place)).collect())
}

/// The top module that a file belongs to; `path` is below [`LIBRARY`].
fn module_of(path: &Path) -> &str {
    let first = path.iter().next().and_then(|name| name.to_str()).unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Whether `super` is the crate.
fn is_top_level(path: &Path) -> bool {
    let depth = path.iter().count();
    depth == 1 || (depth == 2 && path.ends_with("mod.rs"))
}

/// The top modules that a text uses, with their lines. Comments do not count.
fn imports(text: &str, super_is_crate: bool) -> Vec<(usize, String)> {
    let code: String =
        text.lines().flat_map(|line| [if line.trim_start().starts_with("//") { "" } else { line }, "\n"]).collect();
    let starts: &[&str] = if super_is_crate { &["crate::", "super::"] } else { &["crate::"] };
    let mut found = Vec::new();
    for start in starts {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            found.extend(first_names(&code[at + start.len()..]).into_iter().map(|name| (line, name.to_owned())));
        }
    }
    found
}

/// The first names of a path: one, or those of a group in braces.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![identifier(path)] };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                names.push(identifier(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}
