//! Shows what would be exported from a log file: for users before they agree to share, and for
//! administrators who write rules.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{FileStat, read_at};
use super::filter::{FilterState, Filters};
use super::framing::{End, Framer, Record};
use super::layout::Layout;
use super::text::Encoding;
use crate::config::{LogSettings, Settings};
use crate::consent::LogKind;
use crate::ioconnect::folders::{self, unrotated};
use crate::pipeline::queue::LogCounter;
use crate::redaction::Redactor;

/// Maximum number of files in a preview: the ones written last.
const MAX_LATEST_FILES: usize = 4;
/// How much of the end of each file is read.
const MAX_LATEST_BYTES_PER_FILE: usize = 64 << 10;
/// Maximum number of records shown per file.
const MAX_LATEST_RECORDS_PER_FILE: usize = 15;

/// The last records of the log files of one kind, as they would be exported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latest {
    /// The files, most recently written first.
    pub files: Vec<LatestFile>,
    /// The folders that were searched.
    #[serde(rename = "looked_in")]
    pub searched_folders: Vec<PathBuf>,
}

/// The last records of one log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Its last records, in file order.
    pub records: Vec<LatestRecord>,
}

/// A record as it would be exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestRecord {
    /// Its redacted text.
    pub text: String,
    /// Whether a filter drops it.
    #[serde(rename = "left_out")]
    pub is_dropped: bool,
}

/// Reads the ends of the most recently written log files of one kind, when a user asks to see them
/// before agreeing to share. Nothing of it is stored or exported.
#[must_use]
pub fn latest(kind: LogKind, settings: &Settings, redactor: &Redactor) -> Latest {
    let roots = folders::user_data(&settings.connect);
    let of_kind = folders::log_folders(&roots).into_iter().filter(|folder| folder.kind == kind);
    let searched_folders: Vec<PathBuf> = of_kind.map(|folder| folder.path).collect();
    let mut files: Vec<(PathBuf, FileStat)> = searched_folders
        .iter()
        .flat_map(|folder| folders::log_files(folder).unwrap_or_default())
        .filter_map(|path| FileStat::of_path(&path).ok().filter(|stat| stat.size > 0).map(|stat| (path, stat)))
        .collect();
    files.sort_by_key(|(_, stat)| std::cmp::Reverse(stat.modified));
    files.dedup_by_key(|(_, stat)| stat.key);
    files.truncate(MAX_LATEST_FILES);
    let read = |(path, stat): (PathBuf, FileStat)| {
        let records = last_records(&path, stat.size, &settings.logs, redactor).ok()?;
        Some(LatestFile { path, records })
    };
    let searched_folders = if searched_folders.is_empty() { roots } else { searched_folders };
    Latest { files: files.into_iter().filter_map(read).collect(), searched_folders }
}

fn last_records(path: &Path, size: u64, settings: &LogSettings, redactor: &Redactor) -> io::Result<Vec<LatestRecord>> {
    let input = File::open(path)?;
    let start = size.saturating_sub(MAX_LATEST_BYTES_PER_FILE as u64);
    // An even offset, for UTF-16. The BOM at the start of the file tells the encoding.
    let mut bytes = read_at(&input, 0, if start > 0 { 2 } else { 0 })?;
    if Encoding::of(&bytes) == Encoding::Utf8 {
        bytes.clear();
    }
    bytes.extend(read_at(&input, start - start % 2, MAX_LATEST_BYTES_PER_FILE + 1)?);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut records = VecDeque::new();
    preview(&bytes, &name, settings, redactor, |shown| {
        let text = format!("{}{}", shown.head, shown.message).trim_end().to_owned();
        records.push_back(LatestRecord { text, is_dropped: shown.drop_reason.is_some() });
    });
    if start > 0 {
        // It may have started before the part that was read.
        records.pop_front();
    }
    let excess = records.len().saturating_sub(MAX_LATEST_RECORDS_PER_FILE);
    Ok(records.into_iter().skip(excess).collect())
}

/// One record of a previewed file.
#[derive(Debug)]
pub struct Preview<'a> {
    /// The record as it is in the file.
    pub record: Record<'a>,
    /// The text before the message, as it is in the file.
    pub head: Cow<'a, str>,
    /// The redacted message.
    pub message: String,
    /// Number of redactions, by rule.
    pub hidden: BTreeMap<String, u64>,
    /// Why the record would be dropped, if it would be.
    pub drop_reason: Option<LogCounter>,
}

/// Calls `each` for every record of a file. `name` is the file name without folders: it selects
/// layouts and filters.
pub fn preview(
    bytes: &[u8],
    name: &str,
    settings: &LogSettings,
    redactor: &Redactor,
    mut each: impl FnMut(Preview<'_>),
) {
    let name = unrotated(name);
    let layout = Layout::for_file(&name, &settings.layouts);
    let (mut filters, mut filter_state) = (Filters::for_file(&name, settings), FilterState::default());
    let encoding = Encoding::of(bytes);
    let text = encoding.text(&bytes[encoding.bom_length(bytes)..]);
    for record in Framer::new(&text, &layout, false, false, End::Closed) {
        // The rate limit counts seconds of the file's own time, whatever its time zone.
        let second = record.header.and_then(|header| header.time).and_then(|time| {
            let instant = jiff::tz::Offset::UTC.to_timestamp(time.civil).ok()?;
            u64::try_from(instant.as_second()).ok()
        });
        let time = second.unwrap_or_default().saturating_mul(1_000_000_000);
        let drop_reason = filters.drop_reason(&record, time, &mut filter_state);
        let mut hidden = BTreeMap::new();
        let message = String::from_utf8_lossy(record.message);
        let message = redactor.redact_counting(&message, &mut hidden).into_owned();
        let message_start = record.header.map_or(0, |header| header.message_start);
        let head = String::from_utf8_lossy(&text[record.start..record.start + message_start]);
        each(Preview { record, head, message, hidden, drop_reason });
    }
}
