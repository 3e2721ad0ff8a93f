//! Starting with the user's session: a value of the registry's `Run` key of the user on Windows, an entry in
//! `~/.config/autostart` on Linux (freedesktop.org, "Desktop Application Autostart Specification").

use auto_launch::{AutoLaunch, AutoLaunchBuilder, Error};

use crate::config::PolicySettings;

/// Name of the entry.
const NAME: &str = "Insights Agent";

/// Whether the tray program starts with the session.
///
/// # Errors
/// When the system does not tell.
pub fn is_on() -> Result<bool, Error> {
    entry()?.is_enabled()
}

/// Whether whoever installed it lets it start with every user's session: the registry's `Run` key of the machine on Windows, an entry in
/// `/etc/xdg/autostart` on Linux.
#[must_use]
pub fn is_on_for_all() -> bool {
    #[cfg(windows)]
    {
        let run = windows_registry::LOCAL_MACHINE.open(r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run");
        run.and_then(|run| run.get_string(NAME)).is_ok()
    }
    #[cfg(not(windows))]
    std::path::Path::new("/etc/xdg/autostart").join(format!("{NAME}.desktop")).exists()
}

/// Lets it, or not. For the tray program itself, whose path is written down.
///
/// # Errors
/// When the system does not take it.
pub fn set(on: bool) -> Result<(), Error> {
    let entry = entry()?;
    match (entry.is_enabled()?, on) {
        (false, true) => entry.enable(),
        (true, false) => entry.disable(),
        _ => Ok(()),
    }
}

/// What the organisation has decided.
///
/// # Errors
/// As [`set`].
pub fn obey(policy: PolicySettings) -> Result<(), Error> {
    policy.autostart.map_or(Ok(()), set)
}

fn entry() -> Result<AutoLaunch, Error> {
    let program = std::env::current_exe()?;
    let program = program.to_str().ok_or_else(|| Error::AppPathDoesntExist(program.clone()))?;
    #[cfg(windows)]
    let program = &format!("\"{program}\"");
    AutoLaunchBuilder::new().set_app_name(NAME).set_app_path(program).build()
}
