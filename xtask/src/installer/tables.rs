//! Features of the installer that wixl does not support, as changes to its tables
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
/// `msidbComponentAttributesTransitive`, so that a repair evaluates the condition again, with the
/// attributes that wixl sets: 64 bit, and a registry value as the key path.
const CONDITIONAL_ATTRIBUTES: i32 = 64 + 256 + 4;

/// Properties that are passed from the user's session to the elevated part of the installation.
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

/// Custom action that runs the installed console program as the installing user and waits for it:
/// the path is in a property (50), a failure is ignored (64).
const RUN_AGENT: i32 = 50 + 64;
/// Deletes the data of the uninstalling user with the same program, if requested. Not during an
/// upgrade, which also removes the old version.
const DELETE_AT: i32 = 1391;
const DELETE_IF: &str = "OLDPROGRAM AND REMOVE ~= \"ALL\" AND REMOVEDATA = \"1\" AND NOT UPGRADINGPRODUCTCODE";
/// Custom action that starts the tray program: an installed file (18), without waiting for it (128
/// + 64).
const START_TRAY: i32 = 18 + 128 + 64;
/// Place in the sequence: stop before files in use are detected, start after everything is
/// installed.
const STOP_AT: i32 = 1390;
const START_AT: i32 = 6650;
/// Not in the session of the system account, which no user sees. There Windows restarts the
/// programs that it stopped, and autostart starts the others.
const START_IF: &str = "NOT REMOVE AND AUTOSTART = \"1\" AND UserSID <> \"S-1-5-18\"";

/// Returns the changes as SQL statements of Windows Installer.
pub(super) fn changes() -> Vec<String> {
    let mut changes: Vec<String> = CONDITIONS
        .iter()
        .map(|(component, condition)| {
            format!(
                "UPDATE `Component` SET `Condition` = '{condition}', `Attributes` = {CONDITIONAL_ATTRIBUTES} WHERE `Component` = '{component}'"
            )
        })
        .collect();
    changes.push(format!(
        "UPDATE `Property` SET `Value` = '{}' WHERE `Property` = 'SecureCustomProperties'",
        SECURE.join(";")
    ));
    // Headers can hold credentials, so the installation log must not show them.
    changes.push(
        "INSERT INTO `Property` (`Property`, `Value`) VALUES ('MsiHiddenProperties', 'COLLECTORHEADERS;OLDHEADERS')"
            .to_owned(),
    );
    for (action, kind, source, target) in [
        ("StopAgent", RUN_AGENT, "OLDPROGRAM", "stop"),
        ("DeleteData", RUN_AGENT, "OLDPROGRAM", "delete-data"),
        ("StartAgent", START_TRAY, "TrayProgram", ""),
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
    // Each long file name needs a short (8.3) name before it.
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
