//! Phrases that the house style has replaced. A reader had to translate them first.

use super::{Finding, Source};

/// The phrases, and what to write instead. Whole words, in upper or lower case, also across a line
/// break.
const PHRASES: [(&str, &str); 17] = [
    ("anew", "again"),
    ("so many", "a number, or `maximum ...`"),
    ("what waits", "queued data"),
    ("cannot be had", "is not available"),
    ("the begin", "the start"),
    ("is told", "is configured, is notified, or reports"),
    ("whoever", "anyone who, or the name of the role"),
    ("put in together", "sent together"),
    ("begun", "started"),
    ("in vain", "what was expected"),
    ("somebody", "the name of the role"),
    ("all the same", "still"),
    ("the queue's file", "the queue file"),
    ("gives back", "returns"),
    ("tells of", "reports"),
    ("stands in", "is in"),
    ("lies in", "is in"),
];

/// Extensions of the files that people read.
const EXTENSIONS: [&str; 14] =
    ["adml", "admx", "css", "desktop", "html", "js", "json", "jsonc", "md", "py", "rs", "sh", "toml", "wxs"];

/// Finds the phrases.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    // This list and its test have to contain them.
    let is_list = |source: &Source| source.path.starts_with("xtask/src/house");
    let texts = sources.iter().filter(|source| source.has_extension(&EXTENSIONS) && !is_list(source));
    texts.flat_map(find).collect()
}

fn find(source: &Source) -> Vec<Finding> {
    let (text, starts) = folded(&source.text);
    let mut findings = Vec::new();
    for (phrase, instead) in PHRASES {
        for (at, _) in text.match_indices(phrase) {
            let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
            if is_word(before) || is_word(text.as_bytes().get(at + phrase.len())) {
                continue;
            }
            let line = starts.partition_point(|start| *start <= at);
            findings.push(source.finding(line, format!("old phrase \"{phrase}\"; write: {instead}")));
        }
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// The text in lower case with each line break, and the mark of a comment behind it, as one blank;
/// and where each line starts.
fn folded(text: &str) -> (String, Vec<usize>) {
    let mut folded = String::with_capacity(text.len());
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(folded.len());
        let line = line.trim_start().trim_start_matches(['/', '!', '*', '#', '>']).trim();
        folded.extend(line.chars().map(|c| c.to_ascii_lowercase()));
        folded.push(' ');
    }
    (folded, starts)
}
