//! A new file in the place of one that cannot be used, with everything in it that can still be read.
//!
//! The new file is made beside the old one; only when it is complete the old one is put aside and the new one takes its
//! name. So a program that is killed, or a disk that is full, in the middle of it leaves the old file as it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::StoreError;
use super::accounts::{dropped, settle_accounts};
use super::aside::{self, beside};
use super::rows::{self, BATCH_COLUMNS, FILE_COLUMNS, StoredBatch, add};
use super::stats::AsideReason;
use super::store::{GREATEST_ID, Store};
use super::types::{DropReason, FileState};
use crate::otlp::Signal;

/// Batches that are put into the new file in one transaction: at most some tens of mebibytes.
const AT_ONCE: usize = 32;
/// Places at which reading fails before the rest is given up: more than a damaged page near the root of the tree spoils.
const MOST_FAILURES: u32 = 100_000;
/// Longest search for more after the first failure: a dying disk can take seconds for each read, and the sources wait.
const LONGEST_SEARCH: Duration = Duration::from_secs(20);
/// SQLite's page size, which this program has never changed.
const PAGE_BYTES: usize = 4096;
/// Where the header of a database says how many pages it has (SQLite, "Database File Format", section 1.3).
const HEADER_PAGES: Range<usize> = 28..32;
/// Wait for another program that uses the damaged file.
const BUSY: Duration = Duration::from_millis(500);

/// What the program still knows of a file that it has had open.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// How far log files have been read.
    pub(super) files: Option<BTreeMap<(u64, u64), FileState>>,
    /// The counters.
    pub(super) counters: Option<BTreeMap<String, u64>>,
    /// The greatest place that a batch has had.
    pub(super) last_id: i64,
}

/// What became of a file that could not be used.
#[derive(Debug)]
pub(super) struct Replaced {
    /// Where it lies now.
    pub(super) aside: PathBuf,
    /// Items that were lost with it; none if that cannot be told.
    pub(super) lost: Option<u64>,
}

/// Puts a file aside and a new one in its place, with what can be saved.
///
/// # Errors
/// When the new file cannot be written, or another program keeps the old one from being read or renamed; nothing has
/// changed then.
pub(super) fn replace(
    file: &Path,
    reason: AsideReason,
    known: Known,
    now_unix_ms: i64,
) -> Result<Replaced, StoreError> {
    let new = new_file(file);
    aside::remove_database(&new)?;
    let mut store = Store::open(&new)?;
    let mut found = Known::default();
    if reason == AsideReason::Damaged && file.is_file() {
        found = save(file, &mut store)?;
        if found.counters.is_none() && found.last_id == 0 {
            store.checkpoint()?;
            found = with_first_page_of(&new, file, || save(file, &mut store))?.unwrap_or_default();
        }
    }
    let counted = known.counters.is_some() || found.counters.is_some();
    let counters = known.counters.or(found.counters).unwrap_or_default();
    let lost_before = lost(&counters);
    let files = known.files.or(found.files).unwrap_or_default();
    store.restored(files.into_values(), &counters, known.last_id.max(found.last_id))?;
    store.count(&BTreeMap::from([("set_aside".to_owned(), 1)]))?;
    let lost = counted.then(|| lost(&store.stats().counters) - lost_before);
    store.close()?;
    let aside = aside::set_aside(file, reason, now_unix_ms)?;
    std::fs::rename(&new, file)?;
    Ok(Replaced { aside, lost })
}

/// Ends what a killed program may have left of a replacement.
pub(super) fn finish(file: &Path, now_unix_ms: i64) -> Result<(), StoreError> {
    let new = new_file(file);
    if !new.exists() {
        return Ok(());
    }
    if file.exists() {
        return Ok(aside::remove_database(&new)?);
    }
    // The old file has been renamed, so the new one is complete; a write-ahead log of the old one must not get into it.
    if beside(file, "-wal").exists() {
        aside::set_aside(file, AsideReason::Damaged, now_unix_ms)?;
    }
    Ok(std::fs::rename(new, file)?)
}

fn new_file(file: &Path) -> PathBuf {
    beside(file, ".new")
}

fn lost(counters: &BTreeMap<String, u64>) -> u64 {
    let of = |signal| counters.get(&dropped(signal, DropReason::Damaged)).copied().unwrap_or(0);
    Signal::ALL.into_iter().map(of).fold(0, u64::saturating_add)
}

fn save(file: &Path, into: &mut Store) -> Result<Known, StoreError> {
    let Some(source) = passable(open(file))? else { return Ok(Known::default()) };
    let mut counters = BTreeMap::new();
    both_ways(&source, "SELECT name, value FROM counter", &["name"], |row| {
        // A number that no counter reaches is damage.
        let (Ok(name), Ok(value)) = (row.get::<_, String>(0), row.get::<_, i64>(1)) else { return };
        if let Some(value) = u64::try_from(value).ok().filter(|value| *value < GREATEST_ID.unsigned_abs()) {
            counters.insert(name, value);
        }
    })?;
    let mut files = BTreeMap::new();
    // Format 1 has no guard.
    for columns in [FILE_COLUMNS.to_owned(), FILE_COLUMNS.replace("guard", "x''")] {
        both_ways(&source, &format!("SELECT {columns} FROM file"), &["volume", "file_index"], |row| {
            if let Some(state) = rows::file_from_row(row) {
                files.insert((state.volume, state.index), state);
            }
        })?;
    }
    let last_id = save_batches(&source, into)?;
    let sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'batch'";
    let sequence = passable(source.query_row(sequence, [], |row| row.get(0)).optional().map_err(StoreError::from))?;
    let last_id = last_id.max(sequence.flatten().filter(|last| *last < GREATEST_ID).unwrap_or(0));
    let counters = Some(counters).filter(|counters| !counters.is_empty());
    Ok(Known { files: Some(files), counters, last_id })
}

/// Does something while a file has the first page of a new one: the header and the schema are the same in all files of
/// this format, so what lies behind a first page that is damaged can be read. Afterwards the file is as it was.
fn with_first_page_of<T>(
    new: &Path,
    file: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut damaged = File::options().read(true).write(true).open(file)?;
    let pages = damaged.metadata()?.len() / PAGE_BYTES as u64;
    let Ok(pages @ 2..) = u32::try_from(pages) else { return Ok(None) };
    let (mut before, mut page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    damaged.read_exact(&mut before)?;
    File::open(new)?.read_exact(&mut page)?;
    page[HEADER_PAGES].copy_from_slice(&pages.to_be_bytes());
    let mut write = |page: &[u8]| damaged.seek(SeekFrom::Start(0)).and_then(|_| damaged.write_all(page));
    write(&page)?;
    let result = work();
    write(&before)?;
    result.map(Some)
}

/// Opens a damaged file: with a truncated one SQLite wants `writable_schema`, and nothing is to be changed in it.
fn open(file: &Path) -> Result<Connection, StoreError> {
    let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(BUSY)?;
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    source.pragma_update(None, "writable_schema", true)?;
    Ok(source)
}

/// Saves batches, past the places that cannot be read; returns the greatest place of one.
fn save_batches(source: &Connection, into: &mut Store) -> Result<i64, StoreError> {
    type Read = fn(&Row<'_>) -> Option<StoredBatch>;
    // Formats 1 and 2 have no checksum.
    let formats: [(String, Read); 2] = [
        (BATCH_COLUMNS.to_owned(), StoredBatch::from_row),
        (BATCH_COLUMNS.replace(", checksum", ""), StoredBatch::from_row_unchecked),
    ];
    let mut statement = None;
    for (columns, read) in formats {
        let sql = format!("SELECT {columns} FROM batch WHERE id > ?1 ORDER BY id LIMIT 1");
        statement = statement.or(passable(source.prepare(&sql).map_err(StoreError::from))?.map(|found| (found, read)));
    }
    let Some((mut statement, read)) = statement else { return Ok(0) };
    let greatest = "SELECT id FROM batch ORDER BY id DESC LIMIT 1";
    let greatest: Option<i64> =
        passable(source.query_row(greatest, [], |row| row.get(0)).optional().map_err(StoreError::from))?.flatten();
    let greatest = greatest.unwrap_or(GREATEST_ID);

    let (mut last, mut failures, mut failing_since) = (0, 0, None);
    let mut saved = Vec::new();
    loop {
        let next = statement.query_row([last], |row| Ok((row.get::<_, i64>(0)?, read(row)))).optional();
        match next.map_err(StoreError::from) {
            Ok(Some((id, batch))) if id > last && id < GREATEST_ID => {
                last = id;
                saved.extend(batch.map(|batch| (id, batch)));
                if saved.len() >= AT_ONCE {
                    into.restore(&saved)?;
                    saved.clear();
                }
            }
            Ok(_) => break,
            Err(error) if error.is_damage() => {
                failures += 1;
                last += 1;
                let since: Instant = *failing_since.get_or_insert_with(Instant::now);
                if last > greatest || failures > MOST_FAILURES || since.elapsed() > LONGEST_SEARCH {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    into.restore(&saved)?;
    Ok(last)
}

impl Store {
    /// Puts in what was saved from a damaged file.
    fn restore(&mut self, batches: &[(i64, StoredBatch)]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for (id, batch) in batches {
            batch.insert(&transaction, Some(*id))?;
        }
        Ok(transaction.commit()?)
    }

    /// Ends the restoring: positions, counters, and the place from which on new batches lie.
    fn restored(
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
            add(&transaction, counter, *number)?;
        }
        let greatest = "SELECT coalesce(max(id), 0) FROM batch";
        let last_id = transaction.query_row(greatest, [], |row| row.get::<_, i64>(0))?.max(last_id);
        transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'batch'", [])?;
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('batch', ?1)", [last_id])?;
        settle_accounts(&transaction)?;
        transaction.commit()?;
        self.read_all()
    }
}

/// Reads a table from its front until it ends or cannot be read, and then from its back.
fn both_ways(
    source: &Connection,
    select: &str,
    key: &[&str],
    mut take: impl FnMut(&Row<'_>),
) -> Result<(), StoreError> {
    for direction in ["ASC", "DESC"] {
        let order: Vec<String> = key.iter().map(|column| format!("{column} {direction}")).collect();
        let sql = format!("{select} ORDER BY {}", order.join(", "));
        let Some(mut statement) = passable(source.prepare(&sql).map_err(StoreError::from))? else { return Ok(()) };
        let mut rows = statement.query([])?;
        loop {
            match passable(rows.next().map_err(StoreError::from))? {
                Some(Some(row)) => take(row),
                Some(None) => return Ok(()),
                None => break,
            }
        }
    }
    Ok(())
}

/// Nothing instead of an error that means damage.
fn passable<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
