//! Scenario: the organisation has a policy file on Unix.

use super::*;
use crate::config::file::is_writable_by_root_only;

/// Scenario: settings are loaded without a policy file, with one, and with a broken one.
/// Guarantees: the policy takes precedence over the file and flags, and is shown as the
/// organisation's. A broken policy is an error, because without it the agent would allow what it
/// forbids.
#[test]
fn policy_file_takes_precedence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.json");
    let mut inputs = inputs(folder.path(), r#"{ "collector": { "timeout": "1s" } }"#);
    inputs.policy = Some(path.clone());
    inputs.flags.push("collector.timeout=2s".to_owned());
    assert_eq!(load(&inputs).unwrap().settings.collector.timeout, Period::from_secs(2), "no policy");

    let policy = r#"{ "collector": { "timeout": "9s" }, "policy": { "allow_pause": false } }"#;
    std::fs::write(&path, policy).unwrap();
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).unwrap()) != 0 {
        let error = load(&inputs).unwrap_err().to_string();
        assert!(error.contains("must be owned by root"), "{error}");
        return;
    }
    let loaded = load(&inputs).unwrap();
    assert_eq!(loaded.settings.collector.timeout, Period::from_secs(9));
    assert!(!loaded.settings.policy.allow_pause);
    let line = loaded.lines().into_iter().find(|line| line.key == "collector.timeout").unwrap();
    assert_eq!((line.is_fixed, line.origin), (true, format!("set by your organisation ({})", path.display())));

    std::fs::write(&path, "{ \"policy\": { \"allow_pauses\": false } }").unwrap();
    let broken = load(&inputs).unwrap_err().to_string();
    assert!(broken.contains("did you mean `allow_pause`?") && broken.contains("policy.json:1:"), "{broken}");
}

/// Scenario: policy files with different owners and modes.
/// Guarantees: a policy that anyone but root can write is rejected.
#[test]
fn policy_file_writable_by_others_is_rejected() {
    for (owner, mode, accepted) in
        [(0, 0o644, true), (0, 0o600, true), (1000, 0o644, false), (0, 0o664, false), (0, 0o646, false)]
    {
        assert_eq!(is_writable_by_root_only(owner, mode), accepted, "{owner} {mode:o}");
    }
}
