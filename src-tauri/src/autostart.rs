//! Starting with the user's session: a value of the registry's `Run` key of the user on Windows, an entry in
//! `~/.config/autostart` on Linux (freedesktop.org, "Desktop Application Autostart Specification").

use anyhow::{Context, Result};
use auto_launch::{AutoLaunch, AutoLaunchBuilder};
use insights_agent::config::PolicySettings;

/// Name of the entry.
const NAME: &str = "Insights Agent";

/// Whether the program starts with the session.
pub(crate) fn is_on() -> Result<bool> {
    Ok(entry()?.is_enabled()?)
}

/// Lets it, or not.
pub(crate) fn set(on: bool) -> Result<()> {
    let entry = entry()?;
    match (entry.is_enabled()?, on) {
        (false, true) => entry.enable()?,
        (true, false) => entry.disable()?,
        _ => {}
    }
    Ok(())
}

/// What the organisation has decided.
pub(crate) fn obey(policy: PolicySettings) -> Result<()> {
    policy.autostart.map_or(Ok(()), set)
}

fn entry() -> Result<AutoLaunch> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let program = program.to_str().context("this program's path is not Unicode")?;
    #[cfg(windows)]
    let program = &format!("\"{program}\"");
    Ok(AutoLaunchBuilder::new().set_app_name(NAME).set_app_path(program).build()?)
}
