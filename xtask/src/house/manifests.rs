//! Order in `Cargo.toml`: sorted tables are found in at once and merge without conflicts.

use super::{Finding, Source};

/// Finds dependencies that are out of order, and lists of features in one line.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| source.path.ends_with("Cargo.toml")).flat_map(find).collect()
}

fn find(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    let mut previous = "";
    for (number, line) in source.text.lines().enumerate() {
        if let Some(table) = line.strip_prefix('[') {
            in_dependencies = table.trim_end_matches(']').ends_with("dependencies");
            previous = "";
            continue;
        }
        if !in_dependencies {
            continue;
        }
        if let Some((_, features)) = line.split_once("features = [")
            && features.contains(',')
        {
            findings.push(source.finding(number + 1, "several features in one line; write one per line".to_owned()));
        }
        let Some(name) = line.split(['=', '.', ' ']).next().filter(|_| starts_entry(line)) else { continue };
        if name < previous {
            let message = format!("`{name}` is out of order; sort the table, `{name}` comes before `{previous}`");
            findings.push(source.finding(number + 1, message));
        }
        previous = name;
    }
    findings
}

/// Whether a line of a table starts an entry: it is no comment, blank line, list item or end of a
/// list.
fn starts_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphanumeric())
}
