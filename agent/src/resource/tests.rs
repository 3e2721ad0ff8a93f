//! Scenario: the agent restarts, and the settings change what identifies the user.

use super::*;

fn identity(boot: u64, session: &str) -> SessionIdentity {
    SessionIdentity { boot_unix_secs: boot, system_session: session.to_owned() }
}

#[test]
fn session_id_survives_restart_and_clock_correction() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("session.json");
    let first = session_id(&file, &identity(1000, "3"));
    assert_eq!(session_id(&file, &identity(1090, "3")), first, "the boot time drifts with clock corrections");
    let other_session = session_id(&file, &identity(1000, "4"));
    assert_ne!(other_session, first);
    assert_ne!(session_id(&file, &identity(90_000, "4")), other_session, "another boot");
    std::fs::write(&file, "damaged").unwrap();
    assert!(!session_id(&file, &identity(1000, "3")).is_empty());
}

#[test]
fn user_hash_depends_on_key_not_case() {
    assert_eq!(user_hash(b"key", "Anna"), user_hash(b"key", "anna"));
    assert_ne!(user_hash(b"key", "anna"), user_hash(b"other", "anna"));
    assert_eq!(user_hash(b"key", "anna").len(), 32);
    assert!(!user_hash(b"key", "anna").contains("anna"));
}

/// Company attributes are expanded and take precedence. The user is identified only as the policy
/// allows.
///
/// Settings: `resource.user`, `resource.user_hash_key`, `resource.environment`,
/// `resource.attributes`.
#[test]
fn resource_follows_settings() {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::new(dir.path().to_owned());
    let settings = |json: serde_json::Value| serde_json::from_value::<ResourceSettings>(json).unwrap();

    let company = settings(serde_json::json!({
        "user": "none", "environment": "%NOT_SET_HERE?prod%",
        "attributes": { "department": "%NOT_SET_HERE?unknown%", "service.name": "desks" }
    }));
    let found: BTreeMap<_, _> = Resource::detect(&company, &data).0;
    assert_eq!(found["department"], "unknown");
    assert_eq!(found["service.name"], "desks");
    assert_eq!(found["deployment.environment.name"], "prod");
    assert!(!found.contains_key("user.name") && !found.contains_key("user.hash"));
    let of_user = |key: &str| {
        let hashed = settings(serde_json::json!({ "user": "hash", "user_hash_key": key }));
        Resource::detect(&hashed, &data).get("user.hash").to_owned()
    };
    assert!(!of_user("one").is_empty() && of_user("one") == of_user("one") && of_user("one") != of_user("two"));
    for key in ["host.name", "host.arch", "os.type", "session.id", "service.version", "service.instance.id"] {
        assert!(found.contains_key(key), "{key} is missing");
    }
    let encoded = Resource(found.clone()).to_protobuf();
    assert_eq!(ProtoResource::decode(encoded.as_slice()).unwrap().attributes.len(), found.len());
}
