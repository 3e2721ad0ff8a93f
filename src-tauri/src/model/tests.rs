//! Scenario: the tray's menu and tooltip are derived from a status.

#![allow(clippy::unwrap_used)]

use super::*;

/// Returns a status as the agent writes it, taken at 12:00:05 UTC.
fn status() -> Status {
    let delivery = |at: Option<i64>| serde_json::json!({ "state": "working", "acknowledged_unix_ms": at, "acknowledged_items": 1, "rejected_items": 0, "problem": null });
    serde_json::from_value(serde_json::json!({
        "version": "1.2.3", "process_id": 1, "started_unix_ms": 0, "taken_unix_ms": 43_205_000, "data_dir": "",
        "health": "delivering", "sentence": "Connected. Last delivery 5 seconds ago.",
        "collector": { "endpoint": "", "protocol": "grpc",
            "metrics": delivery(Some(43_200_000)), "traces": delivery(None), "logs": delivery(None) },
        "queue": insights_agent::pipeline::queue::QueueStats::default(),
        "logs": { "shared": [], "reading": insights_agent::sources::logs::LogStatus::default() },
        "host": insights_agent::sources::host::HostFigures::default(),
        "processes": { "roles": {} }, "problems": [],
    }))
    .unwrap()
}

fn shown(status: &Status) -> Vec<String> {
    let line = |item: &Item| match item {
        Item::Text { text, .. } => text.clone(),
        Item::Check { text, checked, enabled, .. } => {
            format!("[{}] {text}{}", if *checked { "x" } else { " " }, if *enabled { "" } else { " (grey)" })
        }
        Item::Button { text, enabled, .. } => format!("> {text}{}", if *enabled { "" } else { " (grey)" }),
        Item::Separator => "---".to_owned(),
    };
    TrayModel::of(status, &TimeZone::UTC).menu.iter().map(line).collect()
}

#[test]
fn menu_while_delivering_shows_every_item() {
    let expected = [
        "Connected. Last delivery 5 seconds ago.",
        "Last delivery 12:00:00",
        "Nothing waiting to be sent",
        "---",
        "[ ] Share platform logs",
        "[ ] Share application logs",
        "---",
        "> Pause for 1 hour",
        "> Pause until tomorrow",
        "> Resume (grey)",
        "---",
        "> Open Insights Agent",
        "> Quit",
    ];
    assert_eq!(shown(&status()), expected);
    let model = TrayModel::of(&status(), &TimeZone::UTC);
    assert_eq!(model.icon, Icon { health: Health::Delivering, shared: false });
    assert_eq!(model.tooltip, "Insights Agent: Connected. Last delivery 5 seconds ago.");
}

/// Guarantees: while paused, the only pause item enabled is Resume; shared logs have a mark in the
/// menu and on the icon.
#[test]
fn menu_while_paused_enables_resume_only() {
    let mut status = status();
    status.health = Health::Paused;
    status.paused_until_unix_ms = Some(46_800_000);
    status.logs.shared = vec![LogKind::Applications];
    let menu = shown(&status);
    for line in [
        "[ ] Share platform logs",
        "[x] Share application logs",
        "> Pause for 1 hour (grey)",
        "> Resume (paused until 13:00:00)",
    ] {
        assert!(menu.iter().any(|shown| shown == line), "{line} is missing in {menu:#?}");
    }
    let icon = TrayModel::of(&status, &TimeZone::UTC).icon;
    assert_eq!(icon, Icon { health: Health::Paused, shared: true });
}

/// Guarantees: whatever the status, the menu has the same items in the same order.
#[test]
fn menu_items_never_change_their_order() {
    let ids = |status: &Status| -> Vec<&'static str> {
        let id = |item: &Item| match item {
            Item::Text { id, .. } => id,
            Item::Check { action, .. } | Item::Button { action, .. } => action.id(),
            Item::Separator => "",
        };
        TrayModel::of(status, &TimeZone::UTC).menu.iter().map(id).collect()
    };
    let mut other = status();
    other.paused_until_unix_ms = Some(46_800_000);
    other.health = Health::Attention;
    assert_eq!(ids(&status()), ids(&other));
    for action in Action::ALL {
        assert_eq!(Action::from_id(action.id()), Some(action));
    }
}

/// Windows would cut a longer tooltip, even in the middle of a character.
#[test]
fn tooltip_of_a_long_sentence_fits_windows() {
    for sentence in ["x".repeat(500), "🙂".repeat(200), "ü ".repeat(300)] {
        let mut status = status();
        status.sentence = sentence;
        let tooltip = TrayModel::of(&status, &TimeZone::UTC).tooltip;
        assert!(tooltip.encode_utf16().count() <= MAX_TOOLTIP_UTF16 && tooltip.ends_with('…'), "{tooltip}");
    }
}

/// Guarantees: items that a policy decides show its decision and are disabled.
#[test]
fn menu_under_a_policy_is_disabled() {
    let mut status = status();
    status.policy.share_platform_logs = Some(true);
    status.policy.allow_pause = false;
    status.logs.shared = vec![LogKind::Platform];
    let lines = shown(&status);
    assert_eq!(lines[4], "[x] Share platform logs (set by your organisation) (grey)");
    assert_eq!(lines[5], "[ ] Share application logs");
    assert_eq!(lines[7..9], ["> Pause for 1 hour (grey)", "> Pause until tomorrow (grey)"]);
}
