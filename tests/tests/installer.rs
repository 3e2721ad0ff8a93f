//! Scenario: under Wine, the agent is installed with properties, upgraded while it runs, repaired
//! and removed, per machine and per user.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use test_support::receiver::Receiver;
use test_support::test_env::{append, text};
use test_support::wine::Wine;
use test_support::{output, wait_for};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LATER: &str = "99.0.0";
const LINE: &str = "[2026-11-23T08:18:10.936] [INFO] default - ";
const RUN: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run";
const UNINSTALL: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall";

/// Where an installer installs: for the machine or for a user.
struct Scope {
    name: &'static str,
    hive: &'static str,
    programs: PathBuf,
    start_menu: PathBuf,
}

impl Scope {
    fn machine(wine: &Wine) -> Self {
        Self {
            name: "machine",
            hive: "HKLM",
            programs: wine.drive_c("Program Files/Insights Agent"),
            start_menu: start_menu(wine),
        }
    }

    fn user(wine: &Wine) -> Self {
        Self {
            name: "user",
            hive: "HKCU",
            programs: wine.home().join("AppData/Local/Programs/Insights Agent"),
            start_menu: start_menu(wine),
        }
    }

    fn file(&self, version: &str) -> String {
        let folder = std::env::var("INSIGHTS_INSTALLERS").unwrap();
        let file = Path::new(&folder).join(format!("insights-agent-{version}-{}.msi", self.name));
        format!("Z:{}", file.display()).replace('/', "\\")
    }

    fn key(&self, path: &str) -> String {
        format!("{}\\{path}", self.hive)
    }

    /// Runs the Windows Installer without a user interface.
    fn msiexec(&self, wine: &Wine, what: &str, version: &str, properties: &[&str]) -> Output {
        wine.run("msiexec", &[&[what, &self.file(version), "/qn"], properties].concat())
    }
}

/// Returns the start menu of the user: Wine's installer uses it for both scopes. The start menu of
/// all users, which Windows uses for the machine, is not tested.
fn start_menu(wine: &Wine) -> PathBuf {
    wine.home().join("AppData/Roaming/Microsoft/Windows/Start Menu/Programs")
}

/// Guarantees: installation sets files, registry, start menu and autostart, and starts the agent.
/// An upgrade keeps settings and loses no line. A downgrade is refused. A repair restores what is
/// missing. Removal leaves only the data, or nothing with `REMOVEDATA=1`.
#[test]
fn installation_upgrades_repairs_and_removes_everything() {
    let Some(wine) = Wine::start() else { return };
    for scope in [Scope::machine(&wine), Scope::user(&wine)] {
        live_cycle(&wine, &scope);
    }
}

fn live_cycle(wine: &Wine, scope: &Scope) {
    let receiver = Receiver::start();
    let local = wine.home().join("AppData/Local");
    let data = local.join("insights-agent");
    let connect = local.join("interop.io/io.Connect Desktop/UserData/DEMO-INTEROP.IO/logs");
    fs::create_dir_all(&connect).unwrap();
    let ask = |words: &[&str]| output(wine.launcher().command(&scope.programs.join("insights-agent.exe")).args(words));
    let status = |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        wait_for(what, || {
            let said = ask(&["status", "--json"]);
            said.status.success().then(|| serde_json::from_slice::<Value>(&said.stdout).unwrap()).filter(wanted)
        })
    };
    let files_before = files(wine);
    let keys_before = keys(wine);

    // Installation with properties: files, registry and autostart exist, and the agent runs.
    let endpoint = format!("COLLECTORENDPOINT={}", receiver.endpoint());
    let properties =
        [endpoint.as_str(), "COLLECTORHEADERS=x-desk=7", "LOGSHARING=on", "CONFIGURL=https://settings.example"];
    let installed = scope.msiexec(wine, "/i", VERSION, &properties);
    assert!(installed.status.success(), "{}: {installed:?}", scope.name);
    for name in ["insights-agent.exe", "insights-tray.exe"] {
        assert!(scope.programs.join(name).exists(), "{}: {name}", scope.name);
    }
    assert!(scope.start_menu.join("Insights Agent.lnk").exists(), "{}", scope.start_menu.display());
    assert!(wine.key(&scope.key(RUN)).contains("insights-tray.exe"), "{}", wine.key(&scope.key(RUN)));
    // Wine's installer writes user entries to the machine's hive.
    assert!(["HKLM", "HKCU"].iter().any(|hive| wine.key(&format!("{hive}\\{UNINSTALL}")).contains("Insights Agent")));
    let settings = text(&ask(&["config", "show"]).stdout);
    let of = |key: &str| settings.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(of("collector.endpoint").contains(&receiver.endpoint()), "{settings}");
    assert!(
        of("collector.endpoint").contains(&format!(r"registry {}\SOFTWARE\InsightsAgent", scope.hive)),
        "{settings}"
    );
    assert!(of("collector.headers.x-desk").contains("****"), "{settings}");
    let first = status("delivery", &|status| status["health"] == "delivering");
    wait_for("an event", || (!receiver.events().is_empty()).then_some(()));

    // Upgrade while the agent runs: lines that are written meanwhile arrive once.
    let shared = ask(&["logs", "share", "on"]);
    assert!(shared.status.success() || text(&shared.stderr).contains("organisation"), "{shared:?}");
    let log = connect.join("application.log");
    append(&log, &format!("{LINE}before\n"));
    wait_for("the line before", || receiver.lines().iter().any(|line| line.body == "before").then_some(()));
    let upgrade = std::thread::scope(|threads| {
        let upgrade = threads.spawn(|| scope.msiexec(wine, "/i", LATER, &[]));
        let mut number = 0;
        while !upgrade.is_finished() {
            append(&log, &format!("{LINE}during {number}\n"));
            number += 1;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        append(&log, &format!("{LINE}after\n"));
        (upgrade.join().unwrap(), number)
    });
    let (upgraded, during) = upgrade;
    assert!(upgraded.status.success(), "{}: {upgraded:?}", scope.name);
    let second = status("the agent after the upgrade", &|status| {
        status["process_id"] != first["process_id"] && status["health"] == "delivering"
    });
    wait_for("the line after", || receiver.lines().iter().any(|line| line.body == "after").then_some(()));
    let bodies: Vec<_> = receiver.lines().into_iter().map(|line| line.body).collect();
    let mut expected: Vec<String> = (0..during).map(|number| format!("during {number}")).collect();
    expected.insert(0, "before".to_owned());
    expected.push("after".to_owned());
    assert_eq!(bodies, expected, "{}: every line once, in order", scope.name);
    assert_eq!(second["collector"]["endpoint"], first["collector"]["endpoint"], "properties are remembered");
    assert!(wine.key(&scope.key(r"SOFTWARE\InsightsAgent")).contains("https://settings.example"));
    assert_eq!(wine.key(&scope.key(UNINSTALL)).matches("Insights Agent    ").count(), 0);

    // A downgrade is refused and changes nothing.
    let refused = scope.msiexec(wine, "/i", VERSION, &[]);
    assert!(!refused.status.success(), "{}: a downgrade is refused", scope.name);
    status("the agent after the refusal", &|status| status["health"] == "delivering");

    // A repair restores what is missing.
    fs::remove_file(scope.start_menu.join("Insights Agent.lnk")).unwrap();
    let _ = wine.run("reg", &["delete", &scope.key(RUN), "/v", "Insights Agent", "/f"]);
    // The same as `msiexec /fa`, which Wine supports only with a product code.
    let repaired = scope.msiexec(wine, "/i", LATER, &["REINSTALL=ALL", "REINSTALLMODE=amus"]);
    assert!(repaired.status.success(), "{}: {repaired:?}", scope.name);
    assert!(scope.start_menu.join("Insights Agent.lnk").exists());
    assert!(wine.key(&scope.key(RUN)).contains("insights-tray.exe"));
    status("the agent after the repair", &|status| status["process_id"] != second["process_id"]);

    // Removal deletes every file and key, and the data only on request.
    let removed = scope.msiexec(wine, "/x", LATER, &[]);
    assert!(removed.status.success(), "{}: {removed:?}", scope.name);
    assert!(!scope.programs.exists() && data.join("queue.db").exists(), "{}: only the data stays", scope.name);
    assert!(scope.msiexec(wine, "/i", VERSION, &["AUTOSTART=0"]).status.success());
    assert!(!wine.key(&scope.key(RUN)).contains("insights-tray.exe"), "AUTOSTART=0");
    let settings = wine.home().join("AppData/Roaming/insights-agent/config.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(settings, "{}").unwrap();
    assert!(scope.msiexec(wine, "/x", VERSION, &["REMOVEDATA=1"]).status.success());
    fs::remove_dir_all(local.join("interop.io")).unwrap();
    // The empty lock file of the machine is shared by all users, so no removal deletes it.
    let is_lock = |file: &PathBuf| file.ends_with("ProgramData/insights-agent-host.lock");
    let left: Vec<_> = files(wine).difference(&files_before).filter(|file| !is_lock(file)).cloned().collect();
    assert!(left.is_empty(), "{}: {left:?}", scope.name);
    assert_eq!(keys(wine), keys_before, "{}", scope.name);
}

/// Returns every file and folder on drive C that an installation could create.
fn files(wine: &Wine) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![wine.drive_c("Program Files"), wine.drive_c("ProgramData"), wine.home()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            }
            // Common folders stay with the system, and temporary files do not belong to the
            // installer.
            let shared = ["Temp", "Programs", "Microsoft", "Windows", "Installer", "Start Menu"]
                .iter()
                .any(|name| entry.file_name() == *name);
            if !shared && !entry.path().to_string_lossy().contains("/Temp/") {
                found.insert(entry.path());
            }
        }
    }
    found
}

/// Returns the registry keys that an installation could create. An empty key equals a missing one.
fn keys(wine: &Wine) -> Vec<String> {
    let paths = [RUN, UNINSTALL, r"SOFTWARE\InsightsAgent", r"SOFTWARE\Policies\InsightsAgent"];
    let keys = ["HKLM", "HKCU"]
        .iter()
        .flat_map(|hive| paths.map(|path| wine.key(&format!("{hive}\\{path}")).trim().to_owned()));
    keys.collect()
}
