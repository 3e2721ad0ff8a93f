//! `bundle`: saves a support bundle.

use std::path::PathBuf;
use std::process::ExitCode;

use insights_agent::startup::CommonArgs;
use insights_agent::support_bundle::{self, BundleFile};
use insights_agent::units::bytes;

use super::block_on;

/// Saves the bundle, or prints what it would contain.
pub(super) fn bundle(common: &CommonArgs, file: Option<PathBuf>, preview: bool) -> anyhow::Result<ExitCode> {
    let files = block_on(async { Ok(support_bundle::collect(common).await?) })?;
    if preview {
        for BundleFile { name, text } in &files {
            println!("== {name} ({})\n{text}", bytes(text.len() as u64));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let file = file.unwrap_or_else(|| support_bundle::file_name().into());
    support_bundle::write(&file, &files)?;
    println!("Saved {}", file.display());
    Ok(ExitCode::SUCCESS)
}
