//! Scenario: consent records that are missing, damaged or newer, and policies that come and go.

use super::*;

/// Guarantees: only a readable record of this version shares logs.
#[test]
fn unreadable_or_newer_record_shares_nothing() {
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

/// Guarantees: a policy replaces the user's decision; once it is withdrawn the kind is undecided,
/// not as before.
#[test]
fn policy_replaces_the_users_decision() {
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    let policy = |platform| move |kind| if kind == LogKind::Platform { platform } else { None };
    let mut consent = Consent::default();
    consent.decide(&LogKind::ALL, true, at(1));
    assert!(!consent.apply_policy(policy(None), at(2)) && consent.shares(LogKind::Platform));
    assert!(consent.apply_policy(policy(Some(false)), at(3)) && !consent.shares(LogKind::Platform));
    assert!(!consent.apply_policy(policy(Some(false)), at(4)), "it is known");
    assert_eq!(consent.decision(LogKind::Platform).unwrap().by, Decider::Policy);
    assert!(consent.apply_policy(policy(Some(true)), at(5)) && consent.shares(LogKind::Platform));
    assert!(consent.apply_policy(policy(None), at(6)) && consent.decision(LogKind::Platform).is_none());
    assert!(consent.shares(LogKind::Applications), "nobody decided on these");
}

/// Guarantees: a record written by commit b1cd424 keeps every decision.
#[test]
fn consent_record_of_earlier_version_keeps_its_decisions() {
    let consent: Consent = serde_json::from_str(include_str!("../../testdata/data-b1cd424/consent.json")).unwrap();
    for kind in LogKind::ALL {
        let decision = consent.decision(kind).unwrap();
        assert!(consent.shares(kind) && decision.announced && decision.by == Decider::User);
        assert_eq!(decision.at, "2026-11-28T13:50:44.162749067Z".parse().unwrap());
    }
}
