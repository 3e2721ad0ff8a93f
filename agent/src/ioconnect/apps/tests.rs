//! Scenario: windows are named by rules, by app definitions and by their process.

use super::*;

fn apps(settings: &str) -> AppNamer {
    AppNamer::new(&serde_json::from_str(settings).unwrap())
}

const fn window<'a>(title: &'a str, program: &'a str, role: Option<Role>) -> WindowFacts<'a> {
    WindowFacts { id: 1, title, class: "Chrome_WidgetWin_1", program, role }
}

/// Without rules, native apps are named by their program, platform windows as `platform`, and
/// everything else as `other`.
#[test]
fn window_without_rules_is_named_by_process() {
    let mut apps = apps("{}");
    assert_eq!(&*apps.name(window("AAPL", "blotter", Some(Role::Native))), "blotter");
    assert_eq!(&*apps.name(window("Orders", "io-connect-desktop", Some(Role::Main))), PLATFORM);
    assert_eq!(&*apps.name(window("Salary - Word", "winword", None)), OTHER);
}

/// Rules match title, class and program, in any case. Rules without a program match io.Connect
/// windows only.
///
/// Settings: `focus.apps[].app`, `focus.apps[].title`, `focus.apps[].class`,
/// `focus.apps[].process`.
#[test]
fn window_is_named_by_rules() {
    let mut apps = apps(
        r#"{ "apps": [
            { "app": "orders", "title": "^Orders( \\(\\d+\\))?$" },
            { "app": "excel", "process": "EXCEL" },
            { "app": "charts", "class": "chart*" } ] }"#,
    );
    assert_eq!(&*apps.name(window("Orders (2)", "io-connect-desktop", Some(Role::Main))), "orders");
    assert_eq!(&*apps.name(WindowFacts { id: 2, ..window("Orders", "browser", None) }), OTHER);
    assert_eq!(&*apps.name(WindowFacts { id: 3, ..window("Book1", "excel", None) }), "excel");
    let chart = WindowFacts { id: 4, title: "", class: "ChartWindow", program: "c", role: Some(Role::Native) };
    assert_eq!(&*apps.name(chart), "charts");
}

/// A window keeps its name when its title no longer matches any app. Another window does not get
/// that name.
#[test]
fn window_keeps_name_when_title_changes() {
    let mut apps = apps(r#"{ "apps": [{ "app": "orders", "title": "^Orders$" }] }"#);
    assert_eq!(&*apps.name(window("Orders", "p", Some(Role::Main))), "orders");
    assert_eq!(&*apps.name(window("IBM 5 @ 100", "p", Some(Role::Main))), "orders");
    assert_eq!(&*apps.name(WindowFacts { id: 2, ..window("IBM", "p", Some(Role::Main)) }), PLATFORM);
    apps.retain(|id| id != 1);
    assert_eq!(&*apps.name(window("IBM 5 @ 100", "p", Some(Role::Main))), PLATFORM);
}

/// Definitions name web apps by title (the longest match wins) and native apps by program. Files
/// that are not definitions are skipped.
///
/// Settings: `focus.app_definitions`.
#[test]
fn window_is_named_by_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "a.json",
        r#"[{ "name": "client-list", "title": "Client" }, { "name": "client-card", "title": "Client Card" }]"#,
    );
    write(
        "b.json",
        r#"// a comment
        { "name": "blotter", "title": "Trades", "type": "exe", "details": { "path": "C:\\apps\\", "command": "C:\\apps\\TradeBlotter.EXE" } }"#,
    );
    write("c.json", "{ broken");
    write("d.json", r#"{ "version": 1 }"#);
    let mut apps = apps(&serde_json::json!({ "app_definitions": [folder.path()] }).to_string());
    let mut at = 10;
    let mut named = |title, program, role| {
        at += 1;
        apps.name(WindowFacts { id: at, ..window(title, program, Some(role)) }).to_string()
    };
    assert_eq!(named("Client Card 2", "p", Role::Main), "client-card");
    assert_eq!(named("Client", "p", Role::Main), "client-list");
    assert_eq!(named("Clients", "p", Role::Main), PLATFORM);
    assert_eq!(named("whatever", "tradeblotter", Role::Native), "blotter");
}

/// However many apps there are, the number of names is limited.
#[test]
fn app_names_are_limited() {
    let mut apps = apps("{}");
    let names = (0..2 * MAX_APP_NAMES as u64).map(|id| {
        let program = format!("app{id}");
        apps.name(WindowFacts { id, title: "", class: "", program: &program, role: Some(Role::Native) })
    });
    let different: std::collections::HashSet<_> = names.collect();
    assert_eq!(different.len(), MAX_APP_NAMES + 1);
}
