//! Width of comments. Code may be 120 columns wide (`rustfmt.toml`); running text is hard to read
//! beyond 100.

use super::{Finding, Source};

/// Maximum width of a line with a comment, in characters.
const MAX_COLUMNS: usize = 100;

/// Finds comments that are too wide. Tables, code examples and lines with a web address cannot be
/// wrapped.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| source.has_extension(&["rs", "js"])).flat_map(find).collect()
}

fn find(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_example = false;
    for (number, line) in source.text.lines().enumerate() {
        let Some(comment) = comment(line) else {
            in_example = false;
            continue;
        };
        if comment.starts_with("```") {
            in_example = !in_example;
        }
        let width = line.chars().count();
        let cannot_wrap = in_example || comment.starts_with('|') || comment.contains("://");
        if width > MAX_COLUMNS && !cannot_wrap {
            let message = format!("comment of {width} columns; wrap it at {MAX_COLUMNS}");
            findings.push(source.finding(number + 1, message));
        }
    }
    findings
}

/// The text of the comment in a line.
fn comment(line: &str) -> Option<&str> {
    let trimmed = line.trim_start();
    if let Some(text) = ["//!", "///", "//", "/*", "* "].iter().find_map(|mark| trimmed.strip_prefix(mark)) {
        return Some(text.trim_start());
    }
    let (code, text) = line.split_once(" // ")?;
    let in_string = code.matches('"').count() % 2 == 1;
    (!in_string).then_some(text)
}
