//! `cargo xtask fuzz`: the targets of the crate fuzz/, each for a while.

use anyhow::Result;

use crate::machine::cargo_program;
use crate::step::{command, root, run as run_command, step};

/// Longest input: some lines, or a record with a stack trace. What depends on length has tests of its own.
const MOST_BYTES: u32 = 4096;
/// An input that takes longer, in seconds, is a finding.
const SLOW: u32 = 10;

/// Every target in `fuzz/fuzz_targets`.
const TARGETS: [&str; 6] = ["framing", "layout", "redaction", "preview", "receiver", "requests"];

/// Runs one target, or all. A finding is an error; its input lies in fuzz/artifacts.
pub(crate) fn run(only: Option<&str>, seconds: u64) -> Result<()> {
    cargo_program("cargo-fuzz")?;
    for target in TARGETS.into_iter().filter(|target| only.is_none_or(|only| only == *target)) {
        step(&format!("Fuzz {target}"), || {
            let mut fuzz = command(&["cargo", "fuzz", "run", "--sanitizer", "none", target, "--"]);
            fuzz.args([
                format!("-max_total_time={seconds}"),
                format!("-max_len={MOST_BYTES}"),
                format!("-timeout={SLOW}"),
            ]);
            // Coverage needs flags that only unstable compilers take by themselves.
            fuzz.current_dir(root().join("fuzz")).env("RUSTC_BOOTSTRAP", "1");
            run_command(&mut fuzz)
        })?;
    }
    Ok(())
}
