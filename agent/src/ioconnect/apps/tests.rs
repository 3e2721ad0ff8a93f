//! Names of windows, by rules, by definitions, by processes.

use super::*;

fn apps(settings: &str) -> Apps {
    Apps::new(&serde_json::from_str(settings).unwrap())
}

const fn window<'a>(title: &'a str, program: &'a str, role: Option<Role>) -> Facts<'a> {
    Facts { id: 1, title, class: "Chrome_WidgetWin_1", program, role }
}

/// Without any rule: native apps by their program, the platform as such, everything else without a name.
#[test]
fn by_process_alone() {
    let mut apps = apps("{}");
    assert_eq!(&*apps.name(window("AAPL", "blotter", Some(Role::Native))), "blotter");
    assert_eq!(&*apps.name(window("Orders", "io-connect-desktop", Some(Role::Main))), PLATFORM);
    assert_eq!(&*apps.name(window("Salary - Word", "winword", None)), OTHER);
}

/// Rules name windows by title, class and program, in any case; those without a program take io.Connect's windows only.
///
/// Settings: `focus.apps[].app`, `focus.apps[].title`, `focus.apps[].class`,
/// `focus.apps[].process`.
#[test]
fn by_rules() {
    let mut apps = apps(
        r#"{ "apps": [
            { "app": "orders", "title": "^Orders( \\(\\d+\\))?$" },
            { "app": "excel", "process": "EXCEL" },
            { "app": "charts", "class": "chart*" } ] }"#,
    );
    assert_eq!(&*apps.name(window("Orders (2)", "io-connect-desktop", Some(Role::Main))), "orders");
    assert_eq!(&*apps.name(Facts { id: 2, ..window("Orders", "browser", None) }), OTHER);
    assert_eq!(&*apps.name(Facts { id: 3, ..window("Book1", "excel", None) }), "excel");
    let chart = Facts { id: 4, title: "", class: "ChartWindow", program: "c", role: Some(Role::Native) };
    assert_eq!(&*apps.name(chart), "charts");
}

/// A window whose title becomes one that nothing is known by keeps its name; another window does not get it.
#[test]
fn a_window_keeps_its_name() {
    let mut apps = apps(r#"{ "apps": [{ "app": "orders", "title": "^Orders$" }] }"#);
    assert_eq!(&*apps.name(window("Orders", "p", Some(Role::Main))), "orders");
    assert_eq!(&*apps.name(window("IBM 5 @ 100", "p", Some(Role::Main))), "orders");
    assert_eq!(&*apps.name(Facts { id: 2, ..window("IBM", "p", Some(Role::Main)) }), PLATFORM);
    apps.retain(|id| id != 1);
    assert_eq!(&*apps.name(window("IBM 5 @ 100", "p", Some(Role::Main))), PLATFORM);
}

/// Definitions name web apps by their title, the longest first, and native apps by their program; files that are none
/// are passed over.
///
/// Settings: `focus.app_definitions`.
#[test]
fn by_definitions() {
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
        apps.name(Facts { id: at, ..window(title, program, Some(role)) }).to_string()
    };
    assert_eq!(named("Client Card 2", "p", Role::Main), "client-card");
    assert_eq!(named("Client", "p", Role::Main), "client-list");
    assert_eq!(named("Clients", "p", Role::Main), PLATFORM);
    assert_eq!(named("whatever", "tradeblotter", Role::Native), "blotter");
}

/// However many apps there are, names stay few.
#[test]
fn names_are_bounded() {
    let mut apps = apps("{}");
    let names = (0..2 * MOST_NAMES as u64).map(|id| {
        let program = format!("app{id}");
        apps.name(Facts { id, title: "", class: "", program: &program, role: Some(Role::Native) })
    });
    let different: std::collections::HashSet<_> = names.collect();
    assert_eq!(different.len(), MOST_NAMES + 1);
}
