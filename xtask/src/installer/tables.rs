//! What wixl has no words for, as changes to the tables of the installer
//! (<https://learn.microsoft.com/windows/win32/msi/database-tables>).

/// Components that are installed only under a condition.
const CONDITIONS: [(&str, &str); 6] = [
    ("Endpoint", "COLLECTORENDPOINT"),
    ("Protocol", "COLLECTORPROTOCOL"),
    ("Headers", "COLLECTORHEADERS"),
    ("Sharing", "LOGSHARING"),
    ("ConfigUrl", "CONFIGURL"),
    ("Autostart", "AUTOSTART = \"1\""),
];
/// `msidbComponentAttributesTransitive` and what wixl sets, 64 bit and a registry value as the key: the condition is asked
/// anew at a repair.
const CONDITIONAL: i32 = 64 + 256 + 4;

/// Properties that the user's side may hand to the part that runs elevated.
const SECURE: [&str; 15] = [
    "WIX_DOWNGRADE_DETECTED",
    "WIX_UPGRADE_DETECTED",
    "COLLECTORENDPOINT",
    "COLLECTORPROTOCOL",
    "COLLECTORHEADERS",
    "LOGSHARING",
    "AUTOSTART",
    "CONFIGURL",
    "REMOVEDATA",
    "OLDENDPOINT",
    "OLDPROTOCOL",
    "OLDHEADERS",
    "OLDSHARING",
    "OLDAUTOSTART",
    "OLDCONFIGURL",
];

/// Runs the installed console program for the user who installs, and waits for it: a program whose path a property has (50),
/// whose failure does not matter (64).
const ASK: i32 = 50 + 64;
/// Has the same program delete the data of the user who removes it, where that is wanted, and not in an upgrade, which removes
/// the old version, too.
const DELETE_AT: i32 = 1391;
const DELETE_IF: &str = "OLDPROGRAM AND REMOVE ~= \"ALL\" AND REMOVEDATA = \"1\" AND NOT UPGRADINGPRODUCTCODE";
/// Starts the tray program: a file that was installed (18), not waited for (128 + 64).
const START: i32 = 18 + 128 + 64;
/// Before files in use are looked for, and after everything is done.
const STOP_AT: i32 = 1390;
const START_AT: i32 = 6650;
/// Not in the session of the system, where nobody would see it, and where it would collect for nobody: there Windows starts
/// those again that it has ended, and autostart does the rest.
const START_IF: &str = "NOT REMOVE AND AUTOSTART = \"1\" AND UserSID <> \"S-1-5-18\"";

/// The changes, in the language of the database.
pub(super) fn changes() -> Vec<String> {
    let mut changes: Vec<String> = CONDITIONS
        .iter()
        .map(|(component, condition)| {
            format!(
                "UPDATE `Component` SET `Condition` = '{condition}', `Attributes` = {CONDITIONAL} WHERE `Component` = '{component}'"
            )
        })
        .collect();
    changes.push(format!(
        "UPDATE `Property` SET `Value` = '{}' WHERE `Property` = 'SecureCustomProperties'",
        SECURE.join(";")
    ));
    // With headers in it, a log of the installation must not show them.
    changes.push(
        "INSERT INTO `Property` (`Property`, `Value`) VALUES ('MsiHiddenProperties', 'COLLECTORHEADERS;OLDHEADERS')"
            .to_owned(),
    );
    for (action, kind, source, target) in [
        ("StopAgent", ASK, "OLDPROGRAM", "stop"),
        ("DeleteData", ASK, "OLDPROGRAM", "delete-data"),
        ("StartAgent", START, "TrayProgram", ""),
    ] {
        changes.push(format!(
            "INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('{action}', {kind}, '{source}', '{target}')"
        ));
    }
    for (action, condition, at) in
        [("StopAgent", "OLDPROGRAM", STOP_AT), ("DeleteData", DELETE_IF, DELETE_AT), ("StartAgent", START_IF, START_AT)]
    {
        changes.push(format!(
            "INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('{action}', '{condition}', {at})"
        ));
    }
    // A long name has a short one before it.
    for (table, column, key, name) in [
        ("Directory", "DefaultDir", "INSTALLFOLDER", "INSIGH~1|Insights Agent"),
        ("File", "FileName", "AgentProgram", "INSAGENT.EXE|insights-agent.exe"),
        ("File", "FileName", "TrayProgram", "INSTRAY.EXE|insights-tray.exe"),
        ("File", "FileName", "WebViewLoader", "WEBVIEW2.DLL|WebView2Loader.dll"),
        ("Shortcut", "Name", "StartMenu", "INSIGHTS|Insights Agent"),
    ] {
        changes.push(format!("UPDATE `{table}` SET `{column}` = '{name}' WHERE `{table}` = '{key}'"));
    }
    changes
}
