use super::*;

const GOOD: &str = "{ \"host\": { \"enabled\": false } }";

/// A file that breaks after it has worked: its last good state stays in force, and the error is told.
#[test]
fn last_good_copy_bridges_a_broken_file() {
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
        assert!(effect.starts_with("the settings of 2") && effect.ends_with("stay in force"), "{effect}");
        loaded.keep_as_last_good().unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), GOOD);
    }

    std::fs::write(inputs.file.path(), "{ \"host\": { \"cpu_threshold\": 0.5 } }").unwrap();
    let mended = load(&inputs).unwrap();
    assert!(mended.settings.host.enabled && mended.problems.is_empty());
}

/// Without a copy that can be used, a broken file is an error; so is a missing one that was named.
#[test]
fn without_a_usable_copy_a_broken_file_is_an_error() {
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

/// Who removes the file wants the defaults: the copy of what was before goes too.
#[test]
fn removed_file_takes_its_copy_along() {
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

/// The copy may hold credentials: only its owner reads it, and no other file stays behind.
#[test]
fn copy_is_private_and_leaves_nothing_behind() {
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
