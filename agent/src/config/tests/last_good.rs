//! Scenario: a settings file that worked before becomes invalid.

use super::*;

const GOOD: &str = "{ \"host\": { \"enabled\": false } }";

/// Scenario: a settings file breaks after it has worked.
/// Guarantees: the copy of the last good file is used, and the error is reported.
#[test]
fn last_good_copy_replaces_broken_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), GOOD);
    let copy = folder.path().join("state/last-good.json");
    inputs.last_good = Some(copy.clone());
    load(&inputs).unwrap().keep_as_last_good().unwrap();

    for broken in ["{ \"host\": ", "{ \"hots\": {} }", "\u{0}", ""] {
        std::fs::write(inputs.file.path(), broken).unwrap();
        let loaded = load(&inputs).unwrap();
        assert!(!loaded.settings.host.enabled);
        assert_eq!(loaded.problems.len(), 1);
        assert_eq!(loaded.origin("host.enabled"), &Origin::File { path: copy.clone(), line: 1 });
        let effect = &loaded.problems[0].effect;
        assert!(effect.starts_with("using the last settings that worked, from 2"), "{effect}");
        loaded.keep_as_last_good().unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), GOOD);
    }

    std::fs::write(inputs.file.path(), "{ \"host\": { \"cpu_threshold\": 0.5 } }").unwrap();
    let repaired = load(&inputs).unwrap();
    assert!(repaired.settings.host.enabled && repaired.problems.is_empty());
}

/// Scenario: a file is broken without a usable copy, or a file given on the command line is
/// missing.
/// Guarantees: both are errors.
#[test]
fn last_good_copy_unusable_makes_broken_file_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), "{ \"hots\": {} }");
    let copy = folder.path().join("last-good.json");
    inputs.last_good = Some(copy.clone());
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::UnknownKey);
    std::fs::write(&copy, "broken too").unwrap();
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::UnknownKey);
    std::fs::write(&copy, GOOD).unwrap();
    std::fs::remove_file(inputs.file.path()).unwrap();
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::Missing);
}

/// Scenario: the user removes the settings file.
/// Guarantees: the defaults are used, and the copy is removed.
#[test]
fn last_good_copy_is_removed_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), GOOD);
    let copy = folder.path().join("last-good.json");
    inputs.last_good = Some(copy.clone());
    inputs.file = FileChoice::Default(inputs.file.path().to_owned());
    load(&inputs).unwrap().keep_as_last_good().unwrap();
    assert!(copy.exists());
    std::fs::remove_file(inputs.file.path()).unwrap();
    for _ in 0..2 {
        load(&inputs).unwrap().keep_as_last_good().unwrap();
        assert!(!copy.exists());
    }
}

/// Scenario: the copy, which may contain credentials, is written.
/// Guarantees: only its owner can read it, and no temporary file is left behind.
#[test]
fn last_good_copy_is_private_and_leaves_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), GOOD);
    let copy = folder.path().join("last-good.json");
    inputs.last_good = Some(copy.clone());
    std::fs::write(&copy, "old").unwrap();
    load(&inputs).unwrap().keep_as_last_good().unwrap();
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), GOOD);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
