//! Scenario: pauses over restarts, broken files and clock changes.

use super::*;

fn stored(bytes: &[u8]) -> Pause {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pause.json");
    std::fs::write(&file, bytes).unwrap();
    Pause::load(file)
}

/// Guarantees: a pause, and its end, survive a restart.
#[test]
fn pause_and_its_end_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pause.json");
    assert!(!Pause::load(file.clone()).is_on());
    let until = PauseFor::OneHour.end(&ZonedDateTime::now());
    Pause::load(file.clone()).set(until).unwrap();
    assert_eq!(Pause::load(file.clone()).until(), until);
    Pause::load(file.clone()).set(None).unwrap();
    assert_eq!(Pause::load(file).until(), None);
}

/// Guarantees: an end that is past, too far ahead or unreadable means "not paused".
#[test]
fn implausible_pause_file_means_not_paused() {
    assert!(!stored(br#"{"until":"2020-01-01T00:00:00Z"}"#).is_on());
    assert!(!stored(br#"{"until":"2999-01-01T00:00:00Z"}"#).is_on());
    assert!(!stored(br#"{"until":"#).is_on());
}

/// Guarantees: "until tomorrow" ends at midnight, also on days when the clock changes.
#[test]
fn pause_until_tomorrow_ends_at_midnight() {
    for (now, end) in [
        ("2026-11-23T15:00:00[Europe/London]", "2026-11-24T00:00:00[Europe/London]"),
        ("2026-03-28T23:30:00[Europe/London]", "2026-03-29T00:00:00[Europe/London]"),
        ("2026-10-25T00:10:00[Europe/London]", "2026-10-26T00:00:00[Europe/London]"),
    ] {
        let (now, end): (ZonedDateTime, ZonedDateTime) = (now.parse().unwrap(), end.parse().unwrap());
        assert_eq!(PauseFor::Tomorrow.end(&now), Some(end.timestamp()));
        assert!(end.timestamp().duration_since(now.timestamp()) <= MAX_PAUSE);
    }
}

/// Guarantees: a waiting task continues as soon as the user ends the pause.
#[tokio::test]
async fn waiting_task_continues_when_the_pause_ends() {
    let pause = Pause::default();
    pause.set(PauseFor::OneHour.end(&ZonedDateTime::now())).unwrap();
    let waiting = tokio::spawn({
        let pause = pause.clone();
        async move { pause.over().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    pause.set(None).unwrap();
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
}

/// Guarantees: a pause written by commit b1cd424 is read.
#[test]
fn pause_of_earlier_version_is_read() {
    let stored: Stored = serde_json::from_str(include_str!("../../testdata/data-b1cd424/pause.json")).unwrap();
    assert_eq!(stored.until, Some("2026-11-29T00:00:00Z".parse().unwrap()));
}
