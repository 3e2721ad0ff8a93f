use super::*;

fn kept(bytes: &[u8]) -> Pause {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pause.json");
    std::fs::write(&file, bytes).unwrap();
    Pause::load(file)
}

/// A pause outlives the program, and its end too.
#[test]
fn it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pause.json");
    assert!(!Pause::load(file.clone()).is_on());
    let until = PauseFor::OneHour.end(&ZonedDateTime::now());
    Pause::load(file.clone()).set(until).unwrap();
    assert_eq!(Pause::load(file.clone()).until(), until);
    Pause::load(file.clone()).set(None).unwrap();
    assert_eq!(Pause::load(file).until(), None);
}

/// What is over, too far away to be meant, or no text at all, is no pause.
#[test]
fn what_cannot_be_meant_is_no_pause() {
    assert!(!kept(br#"{"until":"2020-01-01T00:00:00Z"}"#).is_on());
    assert!(!kept(br#"{"until":"2999-01-01T00:00:00Z"}"#).is_on());
    assert!(!kept(br#"{"until":"#).is_on());
}

/// "Until tomorrow" ends at midnight, also on the days on which the clock is set.
#[test]
fn tomorrow_begins_at_midnight() {
    for (now, end) in [
        ("2026-11-23T15:00:00[Europe/London]", "2026-11-24T00:00:00[Europe/London]"),
        ("2026-03-28T23:30:00[Europe/London]", "2026-03-29T00:00:00[Europe/London]"),
        ("2026-10-25T00:10:00[Europe/London]", "2026-10-26T00:00:00[Europe/London]"),
    ] {
        let (now, end): (ZonedDateTime, ZonedDateTime) = (now.parse().unwrap(), end.parse().unwrap());
        assert_eq!(PauseFor::Tomorrow.end(&now), Some(end.timestamp()));
        assert!(end.timestamp().duration_since(now.timestamp()) <= LONGEST);
    }
}

/// Whoever waits goes on as soon as the user ends the pause.
#[tokio::test]
async fn its_end_is_noticed() {
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
