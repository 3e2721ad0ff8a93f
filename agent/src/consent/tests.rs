use super::*;

#[test]
fn nothing_is_shared_without_a_readable_record_of_this_version() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("consent.json");
    assert_eq!(Consent::load(&file), Consent::default());

    std::fs::write(&file, "{ damaged").unwrap();
    assert!(LogKind::ALL.iter().all(|kind| !Consent::load(&file).shares(*kind)));

    let mut consent = Consent::default();
    consent.decide(&[LogKind::Platform], true, jiff::Timestamp::UNIX_EPOCH);
    consent.store(&file).unwrap();
    let loaded = Consent::load(&file);
    assert!(loaded.shares(LogKind::Platform) && !loaded.shares(LogKind::Applications));

    let newer = std::fs::read_to_string(&file).unwrap().replace("\"version\": 1", "\"version\": 2");
    std::fs::write(&file, newer).unwrap();
    assert!(!Consent::load(&file).shares(LogKind::Platform));
}
