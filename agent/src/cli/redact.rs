//! `redact`: shows what would be sent of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use insights_agent::redaction::{Redactor, UserIdentity};
use insights_agent::sources::logs::preview::{Preview, preview};
use insights_agent::startup::CommonArgs;

/// Maximum size of the file, which is held in memory. Log files are rotated long before that.
const MAX_BYTES: u64 = 256 << 20;

/// Prints the records of a file as they would be sent; `-` is standard input.
pub(super) fn redact(common: &CommonArgs, file: &Path, json: bool, only_changed: bool) -> anyhow::Result<ExitCode> {
    let loaded = common.settings(false)?;
    let logs = &loaded.settings.logs;
    let redactor = Redactor::new(&logs.redaction, &UserIdentity::current());
    let bytes = read(file)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let out = std::io::stdout();
    let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = std::io::BufWriter::new(out.lock());
    let marks = redactor.placeholders().collect();
    let mut totals = Totals::default();
    let mut written = Ok(());
    preview(&bytes, &name, logs, &redactor, |record| {
        totals.count(&record);
        let changed = !record.hidden.is_empty() || record.drop_reason.is_some();
        if written.is_ok() && (changed || !only_changed) {
            written =
                if json { write_json(&mut out, &record) } else { write_text(&mut out, &record, &marks, coloured) };
        }
    });
    match written.and_then(|()| out.flush()) {
        // The reader closed the pipe, for example `head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        result => result?,
    }
    eprintln!("{totals}");
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes).context("failed to read standard input")?;
    } else {
        let cannot = || format!("failed to read {}", file.display());
        let input = std::fs::File::open(file).with_context(cannot)?;
        input.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(cannot)?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        bail!("the file is larger than {} MiB; use a part of it", MAX_BYTES >> 20);
    }
    Ok(bytes)
}

#[derive(Default)]
struct Totals {
    records: u64,
    hidden: BTreeMap<String, u64>,
    left_out: BTreeMap<&'static str, u64>,
}

impl Totals {
    fn count(&mut self, record: &Preview<'_>) {
        self.records += 1;
        for (rule, times) in &record.hidden {
            *self.hidden.entry(rule.clone()).or_default() += times;
        }
        if let Some(why) = record.drop_reason {
            *self.left_out.entry(why.name()).or_default() += 1;
        }
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sum: u64 = self.hidden.values().sum();
        write!(f, "{} records, {sum} redactions", self.records)?;
        for (rule, times) in &self.hidden {
            write!(f, "\n  {rule}: {times}")?;
        }
        for (counter, times) in &self.left_out {
            let why = counter.rsplit('.').next().unwrap_or(counter);
            write!(f, "\nnot sent, {why}: {times}")?;
        }
        Ok(())
    }
}

fn write_text(
    out: &mut impl Write,
    record: &Preview<'_>,
    marks: &BTreeSet<&str>,
    coloured: bool,
) -> std::io::Result<()> {
    let (dim, bold, plain) = if coloured { ("\x1b[2m", "\x1b[1;35m", "\x1b[0m") } else { ("", "", "") };
    if let Some(why) = record.drop_reason {
        let why = why.name().rsplit('.').next().unwrap_or_default();
        let first = record.message.lines().next().unwrap_or_default();
        return writeln!(out, "{dim}(not sent, {why}) {}{first}{plain}", record.head);
    }
    let mut message = record.message.clone();
    if coloured {
        for mark in marks {
            message = message.replace(mark, &format!("{bold}{mark}{plain}"));
        }
    }
    writeln!(out, "{}{message}", record.head)
}

fn write_json(out: &mut impl Write, record: &Preview<'_>) -> std::io::Result<()> {
    let why = record.drop_reason.map(|why| why.name().rsplit('.').next().unwrap_or_default());
    let value = serde_json::json!({ "message": record.message, "hidden": record.hidden, "left_out": why });
    writeln!(out, "{value}")
}
