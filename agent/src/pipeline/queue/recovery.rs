//! Replaces an unusable queue file with a new one that contains everything still readable.
//!
//! The new file is built beside the old one. Only when it is complete, the old file is quarantined
//! and the new one takes its name. If the agent is killed or the disk fills up before that, the old
//! file is still as it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::StoreError;
use super::counters::{balance_counters, dropped};
use super::quarantine::{self, QuarantineReason, with_suffix};
use super::rows::{self, BATCH_COLUMNS, FILE_COLUMNS, StoredBatch, add_to_counter};
use super::store::{MAX_BATCH_ID, Store};
use super::types::{DropReason, FileState};
use crate::otlp::Signal;

/// Maximum batches written to the new file in one transaction: at most some tens of mebibytes.
const MAX_BATCHES_PER_TRANSACTION: usize = 32;
/// Maximum failed reads before the rest of the file is given up. More ids than one damaged page
/// near the root of the tree can make unreadable.
const MAX_READ_FAILURES: u32 = 100_000;
/// Maximum time to continue after the first failed read. A dying disk can take seconds for each
/// read, and the sources wait meanwhile.
const MAX_SEARCH_TIME: Duration = Duration::from_secs(20);
/// SQLite's default page size, which the agent has never changed.
const PAGE_BYTES: usize = 4096;
/// Position of the page count in the database header (SQLite, "Database File Format", section 1.3).
const HEADER_PAGE_COUNT: Range<usize> = 28..32;
/// Maximum wait for another program that uses the damaged file.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// What is known about a queue file apart from its batches.
#[derive(Debug, Default)]
pub(super) struct KnownState {
    /// Read positions of log files.
    pub(super) files: Option<BTreeMap<(u64, u64), FileState>>,
    /// The counters.
    pub(super) counters: Option<BTreeMap<String, u64>>,
    /// The highest batch id that was ever used.
    pub(super) last_id: i64,
}

/// The result of replacing a queue file.
#[derive(Debug)]
pub(super) struct Replacement {
    /// Path of the quarantined old file.
    pub(super) quarantined: PathBuf,
    /// Number of items lost with it; none if that is unknown.
    pub(super) lost: Option<u64>,
}

/// Quarantines a file and puts a new one in its place, with everything that can be recovered.
///
/// `known` is what the agent remembers from when the file was open; it is preferred to what damage
/// has left in the file.
///
/// # Errors
/// When the new file cannot be written, or another program prevents the old one from being read or
/// renamed. The old file is unchanged then.
pub(super) fn replace(
    file: &Path,
    reason: QuarantineReason,
    known: KnownState,
    now_unix_ms: i64,
) -> Result<Replacement, StoreError> {
    let new = replacement_path(file);
    quarantine::remove_database(&new)?;
    let mut store = Store::open(&new)?;
    let mut found = KnownState::default();
    if reason == QuarantineReason::Damaged && file.is_file() {
        found = recover(file, &mut store)?;
        if found.counters.is_none() && found.last_id == 0 {
            store.checkpoint()?;
            found = with_first_page_of(&new, file, || recover(file, &mut store))?.unwrap_or_default();
        }
    }
    let counters_known = known.counters.is_some() || found.counters.is_some();
    let counters = known.counters.or(found.counters).unwrap_or_default();
    let lost_before = lost_to_damage(&counters);
    let files = known.files.or(found.files).unwrap_or_default();
    store.finish_restore(files.into_values(), &counters, known.last_id.max(found.last_id))?;
    store.count(&BTreeMap::from([("set_aside".to_owned(), 1)]))?;
    let lost = counters_known.then(|| lost_to_damage(&store.stats().counters) - lost_before);
    store.close()?;
    let quarantined = quarantine::quarantine(file, reason, now_unix_ms)?;
    std::fs::rename(&new, file)?;
    Ok(Replacement { quarantined, lost })
}

/// Completes or discards a replacement that was interrupted because the agent was killed.
pub(super) fn finish_interrupted(file: &Path, now_unix_ms: i64) -> Result<(), StoreError> {
    let new = replacement_path(file);
    if !new.exists() {
        return Ok(());
    }
    if file.exists() {
        return Ok(quarantine::remove_database(&new)?);
    }
    // The old file has already been renamed, so the new one is complete. A write-ahead log of the
    // old file must not be applied to it.
    if with_suffix(file, "-wal").exists() {
        quarantine::quarantine(file, QuarantineReason::Damaged, now_unix_ms)?;
    }
    Ok(std::fs::rename(new, file)?)
}

fn replacement_path(file: &Path) -> PathBuf {
    with_suffix(file, ".new")
}

fn lost_to_damage(counters: &BTreeMap<String, u64>) -> u64 {
    let of = |signal| counters.get(&dropped(signal, DropReason::Damaged)).copied().unwrap_or(0);
    Signal::ALL.into_iter().map(of).fold(0, u64::saturating_add)
}

/// Copies all readable batches into a store and returns everything else that is readable.
fn recover(file: &Path, into: &mut Store) -> Result<KnownState, StoreError> {
    let Some(source) = none_if_damaged(open(file))? else { return Ok(KnownState::default()) };
    let mut counters = BTreeMap::new();
    read_from_both_ends(&source, "SELECT name, value FROM counter", &["name"], |row| {
        // A value that no counter can reach is damage.
        let (Ok(name), Ok(value)) = (row.get::<_, String>(0), row.get::<_, i64>(1)) else { return };
        if let Some(value) = u64::try_from(value).ok().filter(|value| *value < MAX_BATCH_ID.unsigned_abs()) {
            counters.insert(name, value);
        }
    })?;
    let mut files = BTreeMap::new();
    // Format 1 has no column `guard`.
    for columns in [FILE_COLUMNS.to_owned(), FILE_COLUMNS.replace("guard", "x''")] {
        read_from_both_ends(&source, &format!("SELECT {columns} FROM file"), &["volume", "file_index"], |row| {
            if let Some(state) = rows::file_from_row(row) {
                files.insert((state.volume, state.index), state);
            }
        })?;
    }
    let last_id = recover_batches(&source, into)?;
    let sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'batch'";
    let sequence =
        none_if_damaged(source.query_row(sequence, [], |row| row.get(0)).optional().map_err(StoreError::from))?;
    let last_id = last_id.max(sequence.flatten().filter(|last| *last < MAX_BATCH_ID).unwrap_or(0));
    let counters = Some(counters).filter(|counters| !counters.is_empty());
    Ok(KnownState { files: Some(files), counters, last_id })
}

/// Runs `work` while the damaged file has the first page of a new file, then restores its own first
/// page.
///
/// The first page contains the header and the schema, without which SQLite reads nothing. Both are
/// the same in all files of this format, so everything behind a damaged first page becomes
/// readable.
fn with_first_page_of<T>(
    new: &Path,
    file: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut damaged = File::options().read(true).write(true).open(file)?;
    let pages = damaged.metadata()?.len() / PAGE_BYTES as u64;
    let Ok(pages @ 2..) = u32::try_from(pages) else { return Ok(None) };
    let (mut original, mut page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    damaged.read_exact(&mut original)?;
    File::open(new)?.read_exact(&mut page)?;
    page[HEADER_PAGE_COUNT].copy_from_slice(&pages.to_be_bytes());
    let mut write = |page: &[u8]| damaged.seek(SeekFrom::Start(0)).and_then(|_| damaged.write_all(page));
    write(&page)?;
    let result = work();
    write(&original)?;
    result.map(Some)
}

/// Opens a damaged file without changing it. SQLite opens a truncated file only with
/// `writable_schema`.
fn open(file: &Path) -> Result<Connection, StoreError> {
    let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    source.pragma_update(None, "writable_schema", true)?;
    Ok(source)
}

/// Copies all readable batches, skipping places that cannot be read, and returns the highest id.
fn recover_batches(source: &Connection, into: &mut Store) -> Result<i64, StoreError> {
    type ReadRow = fn(&Row<'_>) -> Option<StoredBatch>;
    // Formats 1 and 2 have no checksum.
    let formats: [(String, ReadRow); 2] = [
        (BATCH_COLUMNS.to_owned(), StoredBatch::from_row),
        (BATCH_COLUMNS.replace(", checksum", ""), StoredBatch::from_row_unchecked),
    ];
    let mut statement = None;
    for (columns, read) in formats {
        let sql = format!("SELECT {columns} FROM batch WHERE id > ?1 ORDER BY id LIMIT 1");
        statement =
            statement.or(none_if_damaged(source.prepare(&sql).map_err(StoreError::from))?.map(|found| (found, read)));
    }
    let Some((mut statement, read)) = statement else { return Ok(0) };
    let highest = "SELECT id FROM batch ORDER BY id DESC LIMIT 1";
    let highest: Option<i64> =
        none_if_damaged(source.query_row(highest, [], |row| row.get(0)).optional().map_err(StoreError::from))?
            .flatten();
    let highest = highest.unwrap_or(MAX_BATCH_ID);

    let (mut last, mut failures, mut failing_since) = (0, 0, None);
    let mut recovered = Vec::new();
    loop {
        let next = statement.query_row([last], |row| Ok((row.get::<_, i64>(0)?, read(row)))).optional();
        match next.map_err(StoreError::from) {
            Ok(Some((id, batch))) if id > last && id < MAX_BATCH_ID => {
                last = id;
                recovered.extend(batch.map(|batch| (id, batch)));
                if recovered.len() >= MAX_BATCHES_PER_TRANSACTION {
                    into.restore(&recovered)?;
                    recovered.clear();
                }
            }
            Ok(_) => break,
            // The row cannot be read: try the next id.
            Err(error) if error.is_damage() => {
                failures += 1;
                last += 1;
                let since: Instant = *failing_since.get_or_insert_with(Instant::now);
                if last > highest || failures > MAX_READ_FAILURES || since.elapsed() > MAX_SEARCH_TIME {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    into.restore(&recovered)?;
    Ok(last)
}

impl Store {
    /// Inserts batches recovered from a damaged file, with their ids.
    fn restore(&mut self, batches: &[(i64, StoredBatch)]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for (id, batch) in batches {
            batch.insert(&transaction, Some(*id))?;
        }
        Ok(transaction.commit()?)
    }

    /// Adds positions and counters, balances the counters, and continues the numbering of batches
    /// after `last_id`.
    fn finish_restore(
        &mut self,
        files: impl IntoIterator<Item = FileState>,
        counters: &BTreeMap<String, u64>,
        last_id: i64,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for file in files {
            rows::put_file(&transaction, &file)?;
        }
        for (counter, number) in counters {
            add_to_counter(&transaction, counter, *number)?;
        }
        let highest = "SELECT coalesce(max(id), 0) FROM batch";
        let last_id = transaction.query_row(highest, [], |row| row.get::<_, i64>(0))?.max(last_id);
        transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'batch'", [])?;
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('batch', ?1)", [last_id])?;
        balance_counters(&transaction)?;
        transaction.commit()?;
        self.load_state()
    }
}

/// Reads a table from the start until it ends or cannot be read; in the latter case also from the
/// end backwards.
fn read_from_both_ends(
    source: &Connection,
    select: &str,
    key: &[&str],
    mut take: impl FnMut(&Row<'_>),
) -> Result<(), StoreError> {
    for direction in ["ASC", "DESC"] {
        let order: Vec<String> = key.iter().map(|column| format!("{column} {direction}")).collect();
        let sql = format!("{select} ORDER BY {}", order.join(", "));
        let Some(mut statement) = none_if_damaged(source.prepare(&sql).map_err(StoreError::from))? else {
            return Ok(());
        };
        let mut rows = statement.query([])?;
        loop {
            match none_if_damaged(rows.next().map_err(StoreError::from))? {
                Some(Some(row)) => take(row),
                Some(None) => return Ok(()),
                None => break,
            }
        }
    }
    Ok(())
}

/// Turns an error that means damage into none. Other errors stay errors.
fn none_if_damaged<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
