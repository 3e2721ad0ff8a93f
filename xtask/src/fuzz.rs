//! `cargo xtask fuzz`: runs each fuzz target of the crate fuzz/ for a while.

use anyhow::Result;

use crate::machine::cargo_program;
use crate::step::{command, root, run as run_command, step};

/// Maximum input: some lines, or a record with a stack trace. Limits on length have their own
/// tests.
const MAX_INPUT_BYTES: u32 = 4096;
/// Seconds after which an input counts as a finding.
const INPUT_TIMEOUT: u32 = 10;

/// All targets in `fuzz/fuzz_targets`.
const TARGETS: [&str; 6] = ["framing", "layout", "redaction", "preview", "receiver", "requests"];

/// Runs one target, or all of them.
///
/// # Errors
/// When a target has a finding. Its input is in fuzz/artifacts.
pub(crate) fn run(only: Option<&str>, seconds: u64) -> Result<()> {
    cargo_program("cargo-fuzz")?;
    for target in TARGETS.into_iter().filter(|target| only.is_none_or(|only| only == *target)) {
        step(&format!("Fuzz {target}"), || {
            let mut fuzz = command(&["cargo", "fuzz", "run", "--sanitizer", "none", target, "--"]);
            fuzz.args([
                format!("-max_total_time={seconds}"),
                format!("-max_len={MAX_INPUT_BYTES}"),
                format!("-timeout={INPUT_TIMEOUT}"),
            ]);
            // Coverage needs compiler flags that are unstable.
            fuzz.current_dir(root().join("fuzz")).env("RUSTC_BOOTSTRAP", "1");
            run_command(&mut fuzz)
        })?;
    }
    Ok(())
}
