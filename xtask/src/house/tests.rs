//! Scenario: the source checks run on files with and without violations.

use std::path::PathBuf;

use super::{Finding, Source, comments, layers, manifests, words};

const LAYERS: &str = "//! Docs.\n//!\n//! # Layers\n//!\n//! | layer | modules | reason |\n//! |---|---|---|\n\
    //! | ground | `units`, [`paths`] | import nothing |\n//! | rules | [`config`] | what is wanted |\n\
    //! | top | [`agent`] | knows all |\n\npub mod agent;\npub mod config;\npub mod paths;\nmod units;\n";

fn source(path: &str, text: &str) -> Source {
    Source { path: PathBuf::from(path), text: text.to_owned() }
}

fn lines(findings: &[Finding]) -> Vec<usize> {
    findings.iter().map(|finding| finding.line).collect()
}

#[test]
fn old_phrase_in_any_case_is_found() {
    let found = words::check(&[source("docs/x.md", "It is made\nAnew. So many.\n")]);
    assert_eq!(lines(&found), [2, 2]);
    assert_eq!(found[0].to_string(), "docs/x.md:2: old phrase \"anew\"; write: again");
}

#[test]
fn old_phrase_across_comment_lines_is_found() {
    assert_eq!(lines(&words::check(&[source("a.rs", "fn f() {}\n    /// Here so\n    /// many stand.\n")])), [2]);
}

#[test]
fn old_phrase_inside_other_words_is_ignored() {
    let text = "renew anew_one xanew; the beginning; is toldx";
    assert_eq!(words::check(&[source("a.rs", text)]), []);
}

#[test]
fn old_phrase_in_unread_file_is_ignored() {
    assert_eq!(words::check(&[source("Cargo.lock", "anew"), source("xtask/src/house/words.rs", "anew")]), []);
}

#[test]
fn upward_import_is_found() {
    let code = "use crate::paths::x;\nuse crate::{\n    agent::{A, B},\n    units,\n};\n// crate::agent\n";
    let found = layers::check(&[source("agent/src/lib.rs", LAYERS), source("agent/src/config/file.rs", code)]).unwrap();
    assert_eq!(lines(&found), [2]);
    assert!(found[0].to_string().starts_with("agent/src/config/file.rs:2: `config` is below `agent`"), "{}", found[0]);
}

#[test]
fn upward_import_within_layer_is_found() {
    let found = layers::check(&[
        source("agent/src/lib.rs", LAYERS),
        source("agent/src/units.rs", "fn f() { super::paths::g() }\n"),
        source("agent/src/paths.rs", "use crate::units;\n"),
    ]);
    assert_eq!(lines(&found.unwrap()), [1]);
}

#[test]
fn upward_import_in_tests_is_ignored() {
    let found = layers::check(&[
        source("agent/src/lib.rs", LAYERS),
        source("agent/src/config/tests/file.rs", "use crate::agent;\n"),
        source("agent/src/config/tests.rs", "use crate::agent;\n"),
    ]);
    assert_eq!(found.unwrap(), []);
}

#[test]
fn module_without_layer_is_found() {
    let library = format!("{LAYERS}pub mod new;\n");
    let found = layers::check(&[source("agent/src/lib.rs", &library)]).unwrap();
    assert!(found[0].message.contains("`new` is missing"), "{found:?}");
}

#[test]
fn missing_layer_table_is_an_error() {
    assert!(layers::check(&[source("agent/src/lib.rs", "pub mod agent;\n")]).is_err());
}

#[test]
fn wide_comment_is_found() {
    let wide = "x".repeat(101);
    for text in [format!("//! {wide}"), format!("    // {wide}"), format!("let a = 1; // {wide}"), format!(" * {wide}")]
    {
        assert_eq!(lines(&comments::check(&[source("a.rs", &text)])), [1], "{text}");
    }
}

#[test]
fn wide_line_that_cannot_wrap_is_ignored() {
    let wide = "x".repeat(101);
    let texts = [
        format!("let a = \"{wide}\";"),
        format!("//! | {wide} |"),
        format!("//! https://example.com/{wide}"),
        format!("/// ```text\n/// {wide}\n/// ```"),
    ];
    for text in texts {
        assert_eq!(comments::check(&[source("a.js", &text)]), [], "{text}");
    }
}

#[test]
fn unsorted_dependency_is_found() {
    let manifest = "[dependencies]\nb = \"1\"\n# Why.\na.workspace = true\n\n[features]\nz = []\na = []\n";
    let found = manifests::check(&[source("x/Cargo.toml", manifest)]);
    assert_eq!(lines(&found), [4]);
    assert!(found[0].message.contains("`a` comes before `b`"), "{found:?}");
}

#[test]
fn features_in_one_line_are_found() {
    let manifest = "[workspace.dependencies]\na = { version = \"1\", features = [\"x\"] }\n\
        b = { version = \"1\", features = [\"x\", \"y\"] }\nc = { version = \"1\", features = [\n    \"x\",\n    \"y\",\n] }\n";
    assert_eq!(lines(&manifests::check(&[source("Cargo.toml", manifest)])), [3]);
}
