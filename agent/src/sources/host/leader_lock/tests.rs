//! Scenario: several agents on one machine compete for the leader lock.

use super::*;

/// Of two agents one is the leader. When it ends, the other one takes over.
#[test]
fn leader_lock_is_held_by_one_agent() {
    let folder = tempfile::tempdir().unwrap();
    let leader_lock = || LeaderLock { path: Some(folder.path().join(LOCK_FILE_NAME)), held: Mutex::new(None) };
    let (first, second) = (leader_lock(), leader_lock());
    assert!(first.is_leader() && first.is_leader() && !second.is_leader());
    drop(first);
    assert!(second.is_leader());
    assert!(LeaderLock::new(false).is_leader());
}

/// If the lock file cannot be created, the agent is a leader.
#[test]
fn leader_lock_without_folder_makes_leader() {
    let leader_lock = LeaderLock { path: Some("/nowhere/at/all".into()), held: Mutex::new(None) };
    assert!(leader_lock.is_leader());
}
