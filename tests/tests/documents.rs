//! Scenario: a reader follows a promise of docs/intended-behaviour.md to the test that checks it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders with the sources of tests, from the root of the repository.
const SOURCES: [&str; 4] = ["agent/src", "src-tauri/src", "tests", "xtask/src"];
/// Minimum number of names in the document. With fewer, the test would no longer recognise them.
const MIN_NAMES: usize = 100;

/// Adds the names of all functions and modules below a folder.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "node_modules" {
                names.insert(entry.file_name().to_string_lossy().into_owned());
                collect(&path, names);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
            let text = fs::read_to_string(&path).unwrap();
            names.extend(text.split("fn ").skip(1).filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

/// Returns the names of tests in brackets: texts like `` (lib: `module::test`, `another_test`) ``.
fn references(document: &str) -> BTreeSet<String> {
    let is_name = |name: &str| {
        name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
    };
    let brackets = document.split('(').skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let names = brackets.flat_map(|inside| inside.split('`').skip(1).step_by(2));
    names.filter(|name| is_name(name)).map(str::to_owned).collect()
}

/// Guarantees: every test that docs/intended-behaviour.md names exists.
#[test]
fn every_test_named_in_intended_behaviour_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = BTreeSet::new();
    for folder in SOURCES {
        collect(&root.join(folder), &mut names);
    }
    let document = fs::read_to_string(root.join("docs/intended-behaviour.md")).unwrap();
    let references = references(&document);
    assert!(references.len() >= MIN_NAMES, "only {} names were recognised", references.len());
    let exists = |name: &&String| name.split("::").all(|part| names.contains(part));
    let missing: Vec<&String> = references.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "docs/intended-behaviour.md names tests that do not exist: {missing:?}");
}
