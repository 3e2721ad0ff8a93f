//! `delete-data`: deletes everything that the agent stores for this user.

use std::process::ExitCode;

use anyhow::Context;
use insights_agent::paths::user_config_file;
use insights_agent::startup::CommonArgs;

/// Deletes the data folder and, unless a path was given as an option, the settings file.
pub(super) fn delete(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let existed = data.path().exists();
    data.delete().with_context(|| format!("failed to delete {}", data.path().display()))?;
    if existed {
        println!("Deleted {}", data.path().display());
    } else {
        println!("{} does not exist", data.path().display());
    }
    // A path that was given as an option may be shared with others.
    let settings = if common.data_dir.is_none() && common.config.is_none() { user_config_file() } else { None };
    if let Some(file) = settings.filter(|file| file.exists()) {
        std::fs::remove_file(&file).with_context(|| format!("failed to delete {}", file.display()))?;
        // The folder stays if it holds anything else.
        let _ = file.parent().map(std::fs::remove_dir);
        println!("Deleted {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}
