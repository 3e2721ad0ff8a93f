//! What would be sent of a log file: for people who want to see it before they agree, and for those who write rules.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{Looked, read_at};
use super::filter::{Filters, Memory};
use super::framing::{End, Framer, Record};
use super::layout::Layout;
use super::text::Encoding;
use crate::config::{LogSettings, Settings};
use crate::consent::LogKind;
use crate::ioconnect::folders::{self, unrotated};
use crate::pipeline::queue::LogCounter;
use crate::redaction::Redactor;

/// Files that a look at what would be sent goes through: the ones that were written last.
const LATEST_FILES: usize = 4;
/// How much of the end of each is read.
const LATEST_BYTES: usize = 64 << 10;
/// Records that are shown of each.
const LATEST_RECORDS: usize = 15;

/// The last records of the log files of a kind, as they would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latest {
    /// The files, the one that was written last first.
    pub files: Vec<LatestFile>,
    /// Folders that were looked into.
    pub looked_in: Vec<PathBuf>,
}

/// The last records of a log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestFile {
    /// The file.
    pub path: PathBuf,
    /// Its last records, in their order.
    pub records: Vec<LatestRecord>,
}

/// A record as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestRecord {
    /// Its text, redacted.
    pub text: String,
    /// Whether a filter leaves it out.
    pub left_out: bool,
}

/// Reads the ends of the log files of a kind that were written last. For people who ask for it before they agree: nothing
/// of it is kept or sent.
#[must_use]
pub fn latest(kind: LogKind, settings: &Settings, redactor: &Redactor) -> Latest {
    let roots = folders::user_data(&settings.connect);
    let of_kind = folders::log_folders(&roots).into_iter().filter(|folder| folder.kind == kind);
    let looked_in: Vec<PathBuf> = of_kind.map(|folder| folder.path).collect();
    let mut files: Vec<(PathBuf, Looked)> = looked_in
        .iter()
        .flat_map(|folder| folders::log_files(folder).unwrap_or_default())
        .filter_map(|path| Looked::at(&path).ok().filter(|looked| looked.size > 0).map(|looked| (path, looked)))
        .collect();
    files.sort_by_key(|(_, looked)| std::cmp::Reverse(looked.modified));
    files.dedup_by_key(|(_, looked)| looked.key);
    files.truncate(LATEST_FILES);
    let read = |(path, looked): (PathBuf, Looked)| {
        let records = last_records(&path, looked.size, &settings.logs, redactor).ok()?;
        Some(LatestFile { path, records })
    };
    let looked_in = if looked_in.is_empty() { roots } else { looked_in };
    Latest { files: files.into_iter().filter_map(read).collect(), looked_in }
}

fn last_records(path: &Path, size: u64, settings: &LogSettings, redactor: &Redactor) -> io::Result<Vec<LatestRecord>> {
    let input = File::open(path)?;
    let start = size.saturating_sub(LATEST_BYTES as u64);
    // An even place, for files in UTF-16, whose mark tells what they are.
    let mut bytes = read_at(&input, 0, if start > 0 { 2 } else { 0 })?;
    if Encoding::of(&bytes) == Encoding::Utf8 {
        bytes.clear();
    }
    bytes.extend(read_at(&input, start - start % 2, LATEST_BYTES + 1)?);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut records = VecDeque::new();
    preview(&bytes, &name, settings, redactor, |shown| {
        let text = format!("{}{}", shown.head, shown.message).trim_end().to_owned();
        records.push_back(LatestRecord { text, left_out: shown.left_out.is_some() });
    });
    if start > 0 {
        // It may have begun before.
        records.pop_front();
    }
    let excess = records.len().saturating_sub(LATEST_RECORDS);
    Ok(records.into_iter().skip(excess).collect())
}

/// One record of a file.
#[derive(Debug)]
pub struct Preview<'a> {
    /// As it lies in the file.
    pub record: Record<'a>,
    /// Its text before the message, as it stands in the file.
    pub head: Cow<'a, str>,
    /// Its message, redacted.
    pub message: String,
    /// What was hidden, by rule.
    pub hidden: BTreeMap<String, u64>,
    /// Why it would not be sent, if it would not.
    pub left_out: Option<LogCounter>,
}

/// Calls `each` with every record of a file. `name` is its name without folders: layouts and filters go by it.
pub fn preview(
    bytes: &[u8],
    name: &str,
    settings: &LogSettings,
    redactor: &Redactor,
    mut each: impl FnMut(Preview<'_>),
) {
    let name = unrotated(name);
    let layout = Layout::for_file(&name, &settings.layouts);
    let (mut filters, mut memory) = (Filters::for_file(&name, settings), Memory::default());
    let encoding = Encoding::of(bytes);
    let text = encoding.text(&bytes[encoding.mark(bytes)..]);
    for record in Framer::new(&text, &layout, false, false, End::Closed) {
        // The limit counts seconds of the file's own time, whatever zone that is in.
        let second = record.header.and_then(|header| header.time).and_then(|time| {
            let instant = jiff::tz::Offset::UTC.to_timestamp(time.civil).ok()?;
            u64::try_from(instant.as_second()).ok()
        });
        let time = second.unwrap_or_default().saturating_mul(1_000_000_000);
        let left_out = filters.leave_out(&record, time, &mut memory);
        let mut hidden = BTreeMap::new();
        let message = String::from_utf8_lossy(record.message);
        let message = redactor.redact_counting(&message, &mut hidden).into_owned();
        let message_start = record.header.map_or(0, |header| header.message_start);
        let head = String::from_utf8_lossy(&text[record.start..record.start + message_start]);
        each(Preview { record, head, message, hidden, left_out });
    }
}
