//! Whose turn it is.

use super::*;

/// Of two agents one tells; when it has ended, the other does.
#[test]
fn one_tells() {
    let folder = tempfile::tempdir().unwrap();
    let turn = || Turn { path: Some(folder.path().join(NAME)), held: Mutex::new(None) };
    let (first, second) = (turn(), turn());
    assert!(first.is_mine() && first.is_mine() && !second.is_mine());
    drop(first);
    assert!(second.is_mine());
    assert!(Turn::new(false).is_mine());
}

/// Where no file can be, the agent tells.
#[test]
fn without_a_place() {
    let turn = Turn { path: Some("/nowhere/at/all".into()), held: Mutex::new(None) };
    assert!(turn.is_mine());
}
