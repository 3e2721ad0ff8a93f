//! Scenario: log folders with files of every name.

use super::*;

#[test]
fn log_file_names_are_recognised() {
    for name in ["application.log", "application.1.log", "clientlist.log.3", "GW.LOG"] {
        assert!(is_log_name(name), "{name}");
    }
    for name in ["application.1.log.gz", ".log", "shot.png", "x.log.old", "x.log.", "logger"] {
        assert!(!is_log_name(name), "{name}");
    }
    assert_eq!(app_name("client-list.log"), Some("client-list"));
    assert_eq!(app_name("clientlist.log.2"), Some("clientlist"));
    assert_eq!(app_name(".log"), None);
    for (rotated, before) in [
        ("application.1.log", "application.log"),
        ("clientlist.log.3", "clientlist.log"),
        ("client-list.log", "client-list.log"),
        ("1.log", "1.log"),
    ] {
        assert_eq!(unrotated(rotated), before);
    }
}

/// Every environment and region under every root is found, with each kind as a separate folder. A
/// missing folder is not an error.
#[test]
fn log_folders_of_both_kinds_are_found() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("DEMO-INTEROP.IO/logs/applications")).unwrap();
    std::fs::create_dir_all(dir.path().join("PROD-EMEA-2/logs")).unwrap();
    std::fs::create_dir_all(dir.path().join("Installer")).unwrap();
    let found = log_folders(&[dir.path().to_owned(), dir.path().join("missing")]);
    let seen: Vec<_> = found.iter().map(|f| (f.env_region.as_str(), f.kind.name())).collect();
    assert_eq!(
        seen,
        [("DEMO-INTEROP.IO", "platform"), ("DEMO-INTEROP.IO", "applications"), ("PROD-EMEA-2", "platform")]
    );
}
