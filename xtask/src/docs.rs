//! `cargo xtask docs`: writes every document that is generated from code.
//!
//! Each document is written by the test that compares it, so that the two cannot differ:
//! configuration.md, the JSON Schema and the Group Policy templates from the settings model,
//! signals.md from the signal tables, privacy.md from the redaction cases, dashboards.md from the
//! dashboards; the window's types from the control protocol, and its list of components from
//! `Cargo.lock`.

use anyhow::Result;

use crate::step::{command, run as run_command, step};
use crate::{licences, machine};

/// Modules of the library whose tests write documents.
const MODULES: [&str; 4] = ["config::tests", "control::tests", "redaction::tests", "signals"];

/// Writes all generated documents.
///
/// # Errors
/// When one of the tests fails for another reason than an old document.
pub(crate) fn write() -> Result<()> {
    step("Documents of the library", || {
        let words = ["cargo", "test", "--quiet", "--package", "insights-agent", "--lib", "--"];
        run_command(command(&words).args(MODULES).env("UPDATE_DOCS", "1"))
    })?;
    if cfg!(target_os = "linux") {
        machine::webview()?;
    }
    step("Document of the dashboards", || {
        let words = ["cargo", "test", "--quiet", "--package", "insights-agent-tests", "--test", "questions"];
        run_command(command(&words).env("UPDATE_DOCS", "1").env("INSIGHTS_SKIP_RECEIVERS", "1"))
    })?;
    step("List of components", licences::write)
}
