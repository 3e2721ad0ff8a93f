//! `doctor`: what is wrong, and what to do.

use std::process::ExitCode;

use insights_agent::doctor::examine;
use insights_agent::launch::Options;

use super::block_on;

/// `doctor`.
pub(super) fn doctor(common: &Options, json: bool) -> anyhow::Result<ExitCode> {
    let checks = block_on(async { Ok(examine(common).await?) })?;
    let all_good = checks.iter().all(|check| check.good);
    if json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        let width = checks.iter().map(|check| check.topic.len()).max().unwrap_or_default();
        for check in &checks {
            let mark = if check.good { "good" } else { "LOOK" };
            // A setting's error has lines of its own.
            let sentence = check.sentence.replace('\n', &format!("\n{:indent$}", "", indent = width + 8));
            println!("{mark}  {:width$}  {sentence}", check.topic);
        }
        let bad = checks.iter().filter(|check| !check.good).count();
        println!();
        match bad {
            0 => println!("Everything is as it should be."),
            1 => println!("1 line needs a look."),
            bad => println!("{bad} lines need a look."),
        }
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
