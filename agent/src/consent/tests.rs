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

/// What the organisation decides takes the place of the user's decision; what it gives back is undecided, not as before.
#[test]
fn the_organisation_decides() {
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    let policy = |platform| move |kind| if kind == LogKind::Platform { platform } else { None };
    let mut consent = Consent::default();
    consent.decide(&LogKind::ALL, true, at(1));
    assert!(!consent.obey(policy(None), at(2)) && consent.shares(LogKind::Platform));
    assert!(consent.obey(policy(Some(false)), at(3)) && !consent.shares(LogKind::Platform));
    assert!(!consent.obey(policy(Some(false)), at(4)), "it is known");
    assert_eq!(consent.decision(LogKind::Platform).unwrap().by, Decider::Policy);
    assert!(consent.obey(policy(Some(true)), at(5)) && consent.shares(LogKind::Platform));
    assert!(consent.obey(policy(None), at(6)) && consent.decision(LogKind::Platform).is_none());
    assert!(consent.shares(LogKind::Applications), "nobody decided on these");
}
