//! The organisation's policy as a file, on Unix.

use super::*;
use crate::config::file::is_roots_own;

/// Guarantees: what the policy says wins over the file, the environment and flags, and is shown as the organisation's. One that is
/// broken is an error, for without it what it forbids would be allowed; without one there is none.
#[test]
fn a_policy_file_has_the_last_word() {
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
        assert!(error.contains("has to belong to root"), "{error}");
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

/// Guarantees: a policy that anybody but root could write is refused.
#[test]
fn only_root_can_write_a_policy() {
    for (owner, mode, taken) in
        [(0, 0o644, true), (0, 0o600, true), (1000, 0o644, false), (0, 0o664, false), (0, 0o646, false)]
    {
        assert_eq!(is_roots_own(owner, mode), taken, "{owner} {mode:o}");
    }
}
