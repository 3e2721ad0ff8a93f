//! `cargo xtask mutants`: changes the code of the pure cores, one small change at a time, and
//! checks that a test of the library fails (cargo-mutants).
//!
//! The changes are made in place, so that each build starts from the last one. A run takes hours on
//! two cores.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::machine;
use crate::step::{command, run as run_command, step, target};

/// Names of the files with decisions that no input or output hides: what a test of the library can
/// reach completely.
const CORES: [&str; 12] = [
    "access",
    "aggregate",
    "consent",
    "cors",
    "decision",
    "filter",
    "framing",
    "hints",
    "pause",
    "split",
    "timeline",
    "tracker",
];

/// Minimum share of changes that a test must notice, in percent.
const MIN_CAUGHT_PERCENT: usize = 95;

/// Seconds after which the tests of a changed library count as failed: a change can make a loop
/// endless.
const TIMEOUT: &str = "300";

/// What became of the changes of a file.
#[derive(Default)]
struct Outcome {
    caught: usize,
    missed: Vec<String>,
}

/// Runs cargo-mutants on one core, or on all of them, and prints what the tests missed.
///
/// # Errors
/// When the sources have changes that are not committed, or the tests notice too few changes.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let status = command(&["git", "status", "--porcelain", "agent"]).output()?.stdout;
    ensure!(status.is_empty(), "commit the changes in agent/ first: the files are changed in place");
    machine::cargo_program("cargo-mutants")?;
    let cores: Vec<&str> = CORES.into_iter().filter(|core| only.is_none_or(|only| only == *core)).collect();
    ensure!(!cores.is_empty(), "no such core; there are {}", CORES.join(", "));
    let folder = target().join("mutants");
    fs::create_dir_all(&folder)?;
    let result = step("Mutants", || {
        let mut mutants = command(&["cargo", "mutants", "--package", "insights-agent", "--in-place", "--jobs", "1"]);
        mutants.args(["--timeout", TIMEOUT, "--output"]).arg(&folder);
        mutants.args(cores.iter().flat_map(|core| ["--file".to_owned(), format!("**/{core}.rs")]));
        run_command(mutants.args(["--", "--lib"]))
    });
    let outcomes = folder.join("mutants.out/outcomes.json");
    // It also fails when a change was missed, which is judged here.
    let Ok(text) = fs::read_to_string(&outcomes) else { return result };
    let files = outcomes_by_file(&serde_json::from_str(&text)?)?;
    report(&files)
}

fn outcomes_by_file(report: &Value) -> Result<BTreeMap<String, Outcome>> {
    let mut files: BTreeMap<String, Outcome> = BTreeMap::new();
    for outcome in report["outcomes"].as_array().context("cargo-mutants reported no outcomes")? {
        let mutant = &outcome["scenario"]["Mutant"];
        let Some(file) = mutant["file"].as_str() else {
            ensure!(outcome["summary"] == "Success", "the tests fail without a change");
            continue;
        };
        let of_file = files.entry(file.to_owned()).or_default();
        match outcome["summary"].as_str() {
            Some("CaughtMutant" | "Timeout") => of_file.caught += 1,
            Some("MissedMutant") => of_file.missed.push(mutant["name"].as_str().unwrap_or(file).to_owned()),
            // It does not compile, so nobody can make this mistake.
            _ => {}
        }
    }
    Ok(files)
}

fn report(files: &BTreeMap<String, Outcome>) -> Result<()> {
    println!("  caught  missed  file");
    for (file, Outcome { caught, missed }) in files {
        println!("  {caught:>6}  {:>6}  {file}", missed.len());
    }
    let caught: usize = files.values().map(|outcome| outcome.caught).sum();
    let missed: Vec<&String> = files.values().flat_map(|outcome| &outcome.missed).collect();
    for name in &missed {
        println!("missed: {name}");
    }
    let all = caught + missed.len();
    ensure!(all > 0, "cargo-mutants found nothing to change");
    let percent = 100 * caught / all;
    println!("{caught} of {all} changes were caught: {percent} %.");
    if percent < MIN_CAUGHT_PERCENT {
        bail!("the tests must catch {MIN_CAUGHT_PERCENT} % of the changes; add tests of the library for those missed");
    }
    Ok(())
}
