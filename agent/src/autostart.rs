//! Autostart of the tray program at sign-in: the user's `Run` registry key on Windows, an entry in
//! `~/.config/autostart` on Linux (freedesktop.org, "Desktop Application Autostart Specification").

use auto_launch::{AutoLaunch, AutoLaunchBuilder, Error};

use crate::config::PolicySettings;

/// Name of the registry value or desktop entry.
const NAME: &str = "Insights Agent";

/// Returns whether the tray program starts when this user signs in.
///
/// # Errors
/// When the system does not report it.
pub fn is_on() -> Result<bool, Error> {
    entry()?.is_enabled()
}

/// Returns whether the installation starts the tray program for all users: the machine's `Run`
/// registry key on Windows, an entry in `/etc/xdg/autostart` on Linux.
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

/// Enables or disables autostart. Call it only from the tray program: its own path is stored.
///
/// # Errors
/// When the system rejects the change.
pub fn set(on: bool) -> Result<(), Error> {
    let entry = entry()?;
    match (entry.is_enabled()?, on) {
        (false, true) => entry.enable(),
        (true, false) => entry.disable(),
        _ => Ok(()),
    }
}

/// Applies the organisation's policy on autostart, if it has one.
///
/// # Errors
/// See [`set`].
pub fn apply_policy(policy: PolicySettings) -> Result<(), Error> {
    policy.autostart.map_or(Ok(()), set)
}

fn entry() -> Result<AutoLaunch, Error> {
    let program = std::env::current_exe()?;
    let program = program.to_str().ok_or_else(|| Error::AppPathDoesntExist(program.clone()))?;
    #[cfg(windows)]
    let program = &format!("\"{program}\"");
    AutoLaunchBuilder::new().set_app_name(NAME).set_app_path(program).build()
}
