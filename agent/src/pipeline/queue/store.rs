//! The queue's file as long as nothing is wrong with it: SQLite in WAL mode (format: docs/on-disk-formats.md).
//!
//! Invariants: a log batch and the positions of the files it was read from are committed in one transaction; a batch
//! leaves only by acknowledgement, by withdrawal of consent, or counted as dropped; what comes out is what was put in,
//! or it is counted as damaged. `synchronous=NORMAL`: a killed program loses nothing, a power cut at most the last
//! transactions, with which the file positions fall back too. For each signal, in items,
//! `queued = delivered + rejected + dropped + what waits`: so `accounts.rs` knows what damage took away.
//!
//! The same code on a database in memory holds what cannot be written to the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::StoreError;
use super::accounts::{dropped, queued, read_counters, read_stats, settle_accounts};
use super::migrations::{self, VERSION};
use super::rows::{self, BATCH_COLUMNS, FILE_COLUMNS, StoredBatch, add};
use super::stats::QueueStats;
use super::types::{DropReason, FileState, LogCounter};
use crate::consent::LogKind;
use crate::otlp::Signal;

/// Pages kept in memory, in KiB: the queue is written and read in order, a larger cache would never be hit.
const CACHE_KIB: i64 = 512;
/// Size that the write-ahead log is cut back to when it is begun anew.
const WAL_BYTES: i64 = 4 << 20;
/// Size of the write-ahead log that is left alone: less is not worth two flushes of the disk.
const SMALL_WAL_BYTES: u64 = 512 << 10;
/// Free pages that are worth giving back to the file system while more waits (4 MiB): the next batches reuse them.
const FREE_PAGES: i64 = 1024;
/// The same when nothing waits (256 KiB).
const FREE_PAGES_EMPTY: i64 = 64;
/// Pages given back between two looks at the clock.
const VACUUM_PAGES: i64 = 64;
/// Longest wait for another process that uses the same file, as the command `queue` does; commands wait meanwhile.
const BUSY: Duration = Duration::from_millis(500);
/// Batches dropped for their age in one transaction, so that the queue's thread is soon free again.
const DROP_AT_ONCE: u32 = 64;
/// Greatest place of a batch: no queue gets there, and a damaged number does not end the numbering (SQLite's ends at
/// 2^63).
pub(super) const GREATEST_ID: i64 = 1 << 53;
/// Signals by the worth of what cannot be read again, the least first.
const BY_WORTH: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

/// What one sender puts in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) batches: &'a [StoredBatch],
    pub(super) files: &'a [FileState],
    pub(super) counts: &'a BTreeMap<LogCounter, u64>,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    stats: QueueStats,
    newest_unix_ms: Option<i64>,
    last_id: i64,
}

impl Store {
    /// Opens or makes the file, and brings it to the format of today.
    pub(super) fn open(file: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        let format = known_format(&connection)?;
        if format == 0 {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Self::begin(connection, format)
    }

    /// A store that is gone with the program.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        // Memory is given back with each batch that leaves it.
        connection.pragma_update(None, "auto_vacuum", "FULL")?;
        Self::begin(connection, 0)
    }

    fn begin(mut connection: Connection, format: i64) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(32);
        if format < VERSION {
            migrations::migrate(&mut connection, format)?;
        }
        let mut store = Self { connection, stats: QueueStats::default(), newest_unix_ms: None, last_id: 0 };
        store.read_all()?;
        Ok(store)
    }

    /// Reads what is there.
    pub(super) fn read_all(&mut self) -> Result<(), StoreError> {
        self.read_stats()?;
        self.newest_unix_ms =
            self.connection.query_row("SELECT max(enqueued_unix_ms) FROM batch", [], |row| row.get(0))?;
        let last = "SELECT seq FROM sqlite_sequence WHERE name = 'batch'";
        self.last_id = self.connection.query_row(last, [], |row| row.get(0)).optional()?.unwrap_or(0);
        if self.last_id > GREATEST_ID {
            return Err(StoreError::Damaged("the numbering of its batches has no end"));
        }
        Ok(())
    }

    /// Reads what a file holds, changing nothing in it.
    pub(super) fn inspect(file: &Path) -> Result<QueueStats, StoreError> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        if known_format(&connection)? == 0 {
            return Ok(QueueStats::default());
        }
        read_stats(&connection)
    }

    /// What it holds; without what is known of the folder.
    pub(super) fn stats(&self) -> &QueueStats {
        &self.stats
    }

    /// Every log file that has been read.
    pub(super) fn files(&self) -> Result<BTreeMap<(u64, u64), FileState>, StoreError> {
        let mut statement = self.connection.prepare(&format!("SELECT {FILE_COLUMNS} FROM file"))?;
        let mut rows = statement.query([])?;
        let mut files = BTreeMap::new();
        while let Some(row) = rows.next()? {
            if let Some(state) = rows::file_from_row(row) {
                files.insert((state.volume, state.index), state);
            }
        }
        Ok(files)
    }

    /// Whether there is anything in it.
    pub(super) fn holds_anything(&self) -> bool {
        self.stats.batches() > 0 || !self.stats.counters.is_empty()
    }

    /// When the newest batch was put in, as it was at the opening.
    pub(super) fn newest_unix_ms(&self) -> Option<i64> {
        self.newest_unix_ms
    }

    /// The greatest place that a batch has had.
    pub(super) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// Puts batches in, moves file positions and counts, in one transaction.
    pub(super) fn append(&mut self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut id = self.last_id;
        for entry in entries {
            for batch in entry.batches {
                id = batch.insert(&transaction, None)?;
                add(&transaction, &queued(batch.signal), u64::from(batch.items))?;
            }
            for file in entry.files {
                rows::put_file(&transaction, file)?;
            }
            for (counter, count) in entry.counts {
                add(&transaction, counter.name(), *count)?;
            }
        }
        transaction.commit()?;
        self.last_id = id;
        let mut count = |name: String, number| *self.stats.counters.entry(name).or_default() += number;
        for (counter, number) in entries.iter().flat_map(|entry| entry.counts) {
            count(counter.name().to_owned(), *number);
        }
        for batch in entries.iter().flat_map(|entry| entry.batches) {
            count(queued(batch.signal), u64::from(batch.items));
        }
        for batch in entries.iter().flat_map(|entry| entry.batches) {
            let of = self.stats.of_mut(batch.signal);
            of.added(1, u64::from(batch.items), batch.bytes());
            of.oldest_unix_ms.get_or_insert(batch.enqueued_unix_ms);
        }
        Ok(())
    }

    /// The oldest batch of a signal behind the place `after`, and its own place. What belongs to a kind of logs in
    /// `withheld` is passed over; what is damaged is taken out and counted.
    pub(super) fn next(
        &mut self,
        signal: Signal,
        after: i64,
        withheld: &BTreeSet<LogKind>,
    ) -> Result<Option<(i64, StoredBatch)>, StoreError> {
        let mut after = after;
        let mut passed_over = after > 0;
        loop {
            let row = self
                .connection
                .prepare_cached(&format!(
                    "SELECT {BATCH_COLUMNS} FROM batch WHERE signal = ?1 AND id > ?2 ORDER BY id LIMIT 1"
                ))?
                .query_row(params![signal.name(), after], |row| Ok((row.get::<_, i64>(0)?, StoredBatch::from_row(row))))
                .optional()?;
            let Some((id, batch)) = row else {
                if passed_over || self.stats.of(signal).batches == 0 {
                    return Ok(None);
                }
                return Err(StoreError::Damaged("batches that wait in it cannot be found"));
            };
            match batch.filter(|batch| batch.signal == signal) {
                Some(batch) if batch.consent.is_some_and(|kind| withheld.contains(&kind)) => {
                    passed_over = true;
                    after = id;
                }
                Some(batch) => return Ok(Some((id, batch))),
                None => self.drop_damaged(id)?,
            }
        }
    }

    /// Takes a delivered batch out; `rejected` of its items were refused by the collector.
    pub(super) fn acknowledge(&mut self, id: i64, rejected: u64) -> Result<(), StoreError> {
        self.remove(id, |transaction, signal, items| {
            let rejected = rejected.min(items);
            add(transaction, &format!("delivered.{signal}"), items - rejected)?;
            add(transaction, &format!("rejected.{signal}"), rejected)
        })
    }

    /// Takes a batch out unsent, and counts it.
    pub(super) fn drop_batch(&mut self, id: i64, reason: DropReason) -> Result<(), StoreError> {
        self.remove(id, |transaction, signal, items| add(transaction, &dropped(signal, reason), items))
    }

    fn drop_damaged(&mut self, id: i64) -> Result<(), StoreError> {
        tracing::error!(id, "a batch in the queue is not what was put in; it was dropped and counted");
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM batch WHERE id = ?1", [id])?;
        settle_accounts(&transaction)?;
        transaction.commit()?;
        self.read_stats()
    }

    fn remove(
        &mut self,
        id: i64,
        count: impl FnOnce(&Connection, Signal, u64) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let removed = transaction
            .prepare_cached("DELETE FROM batch WHERE id = ?1 RETURNING signal, items, length(payload)")?
            .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?, row.get::<_, u32>(2)?)))
            .optional()?;
        // It may have been dropped meanwhile.
        let Some((signal, items, bytes)) = removed else { return Ok(()) };
        let signal = Signal::from_name(&signal).ok_or(StoreError::Damaged("a signal in it is unknown"))?;
        count(&transaction, signal, u64::from(items))?;
        transaction.commit()?;
        self.stats.of_mut(signal).removed(1, u64::from(items), u64::from(bytes));
        self.stats.counters = read_counters(&self.connection)?;
        self.read_oldest(signal)
    }

    /// Puts halves in the place of a batch that was too large. They come after what is queued.
    pub(super) fn replace(&mut self, id: i64, halves: &[StoredBatch]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let whole = transaction
            .prepare_cached(&format!("SELECT {BATCH_COLUMNS} FROM batch WHERE id = ?1"))?
            .query_row([id], |row| Ok(StoredBatch::from_row(row)))
            .optional()?;
        let Some(Some(whole)) = whole else { return Ok(()) };
        let mut last = id;
        for half in halves {
            let half = StoredBatch {
                consent: whole.consent,
                oldest_unix_nano: whole.oldest_unix_nano,
                newest_unix_nano: whole.newest_unix_nano,
                enqueued_unix_ms: whole.enqueued_unix_ms,
                split: true,
                ..half.clone()
            };
            last = half.insert(&transaction, None)?;
        }
        transaction.execute("DELETE FROM batch WHERE id = ?1", [id])?;
        settle_accounts(&transaction)?;
        transaction.commit()?;
        self.last_id = last;
        self.read_stats()
    }

    /// Deletes what waits of a kind of logs, beyond recovery, and how far its files have been taken over; returns how
    /// many records that were.
    pub(super) fn withdraw(&mut self, kind: LogKind) -> Result<u64, StoreError> {
        let followed = "SELECT EXISTS (SELECT 1 FROM file WHERE kind = ?1)";
        if self.stats.logs.batches == 0 && !self.connection.query_row(followed, [kind.name()], |row| row.get(0))? {
            return Ok(0);
        }
        self.connection.pragma_update(None, "secure_delete", true)?;
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM file WHERE kind = ?1", [kind.name()])?;
        let waits = "FROM batch WHERE signal = ?1 AND consent = ?2";
        let of = [Signal::Logs.name(), kind.name()];
        let items: i64 =
            transaction.query_row(&format!("SELECT coalesce(sum(items), 0) {waits}"), of, |row| row.get(0))?;
        transaction.execute(&format!("DELETE {waits}"), of)?;
        add(&transaction, &dropped(Signal::Logs, DropReason::Withdrawn), items.unsigned_abs())?;
        transaction.commit()?;
        self.connection.pragma_update(None, "secure_delete", false)?;
        self.read_stats()?;
        self.checkpoint()?;
        Ok(items.unsigned_abs())
    }

    /// Drops some of what was put in before a time; returns how many items that were. More may be left if it is not 0.
    pub(super) fn drop_older(&mut self, unix_ms: i64) -> Result<u64, StoreError> {
        if self.stats.oldest_unix_ms().is_none_or(|oldest| oldest >= unix_ms) {
            return Ok(0);
        }
        let old: Vec<i64> = self
            .connection
            .prepare_cached("SELECT id FROM batch WHERE enqueued_unix_ms < ?1 LIMIT ?2")?
            .query_map(params![unix_ms, DROP_AT_ONCE], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        self.drop_all(&old, DropReason::TooOld)
    }

    /// Drops the oldest batches that are not worth more than one that arrives, and cannot be read again, the least worth
    /// first, until `bytes` are free. If there are not enough of them nothing is dropped; returns whether there were.
    pub(super) fn make_room(&mut self, arriving: Signal, bytes: u64, reason: DropReason) -> Result<bool, StoreError> {
        let mut freed = 0;
        let mut dropped = Vec::new();
        let least = BY_WORTH.iter().take_while(|signal| **signal != arriving).chain([&arriving]);
        for signal in least {
            let mut statement = self.connection.prepare_cached(
                "SELECT id, length(payload) FROM batch WHERE signal = ?1 AND consent IS NULL ORDER BY id",
            )?;
            let mut rows = statement.query([signal.name()])?;
            while freed < bytes
                && let Some(row) = rows.next()?
            {
                dropped.push(row.get(0)?);
                freed += u64::from(row.get::<_, u32>(1)?);
            }
        }
        if freed >= bytes {
            self.drop_all(&dropped, reason)?;
        }
        Ok(freed >= bytes)
    }

    fn drop_all(&mut self, ids: &[i64], reason: DropReason) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut total = 0;
        for id in ids {
            let (signal, items) = transaction
                .prepare_cached("DELETE FROM batch WHERE id = ?1 RETURNING signal, items")?
                .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
            let signal = Signal::from_name(&signal).ok_or(StoreError::Damaged("a signal in it is unknown"))?;
            add(&transaction, &dropped(signal, reason), u64::from(items))?;
            total += u64::from(items);
        }
        transaction.commit()?;
        self.read_stats()?;
        Ok(total)
    }

    /// Adds to counters.
    pub(super) fn count(&mut self, numbers: &BTreeMap<String, u64>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for (counter, number) in numbers {
            add(&transaction, counter, *number)?;
        }
        transaction.commit()?;
        self.stats.counters = read_counters(&self.connection)?;
        Ok(())
    }

    /// Forgets a log file that is gone.
    pub(super) fn forget_file(&self, (volume, index): (u64, u64)) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM file WHERE volume = ?1 AND file_index = ?2",
            [volume.cast_signed(), index.cast_signed()],
        )?;
        Ok(())
    }

    /// Takes all batches and counters over from a store in memory, in one transaction; it is empty then.
    pub(super) fn absorb(&mut self, held: &mut Self) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut last = self.last_id;
        {
            let mut statement = held.connection.prepare(&format!("SELECT {BATCH_COLUMNS} FROM batch ORDER BY id"))?;
            let mut batches = statement.query([])?;
            while let Some(row) = batches.next()? {
                if let Some(batch) = StoredBatch::from_row(row) {
                    last = batch.insert(&transaction, None)?;
                }
            }
        }
        for (counter, number) in &held.stats.counters {
            add(&transaction, counter, *number)?;
        }
        transaction.commit()?;
        self.last_id = last;
        held.connection.execute_batch("DELETE FROM batch; DELETE FROM counter;")?;
        held.read_stats()?;
        self.read_stats()
    }

    /// Gives space back to the file system for about as long as `limit` says; returns whether there is more to do.
    pub(super) fn tidy(&mut self, limit: Duration) -> Result<bool, StoreError> {
        let begun = Instant::now();
        let empty = self.stats.batches() == 0;
        if empty
            && self.connection.query_row("SELECT EXISTS (SELECT 1 FROM batch NOT INDEXED)", [], |row| row.get(0))?
        {
            return Err(StoreError::Damaged("batches wait in it that its index does not know"));
        }
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free > if empty { FREE_PAGES_EMPTY } else { FREE_PAGES } {
            let mut left = free;
            while left > 0 && begun.elapsed() < limit {
                // Each step frees one page, so the statement has to be stepped to its end.
                let mut vacuum =
                    self.connection.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
                let mut steps = vacuum.query([])?;
                while steps.next()?.is_some() {}
                left -= VACUUM_PAGES;
            }
            return Ok(true);
        }
        let wal = self.connection.path().map(|path| format!("{path}-wal"));
        let wal_bytes = wal.and_then(|wal| std::fs::metadata(wal).ok()).map_or(0, |wal| wal.len());
        if wal_bytes > SMALL_WAL_BYTES {
            self.checkpoint()?;
        }
        Ok(false)
    }

    /// Brings everything into the main file, and empties the write-ahead log if nobody else reads it.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    /// Writes everything into the main file and closes it.
    pub(super) fn close(self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.connection.close().map_err(|(_, error)| error.into())
    }

    fn read_stats(&mut self) -> Result<(), StoreError> {
        self.stats = read_stats(&self.connection)?;
        Ok(())
    }

    fn read_oldest(&mut self, signal: Signal) -> Result<(), StoreError> {
        self.stats.of_mut(signal).oldest_unix_ms = self
            .connection
            .prepare_cached("SELECT enqueued_unix_ms FROM batch WHERE signal = ?1 ORDER BY id LIMIT 1")?
            .query_row([signal.name()], |row| row.get(0))
            .optional()?;
        Ok(())
    }
}

/// The file's format; 0 for an empty file.
fn known_format(connection: &Connection) -> Result<i64, StoreError> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        known @ 0..=VERSION => Ok(known),
        found @ 0.. => Err(StoreError::Newer { found, known: VERSION }),
        _ => Err(StoreError::Damaged("its format has no number")),
    }
}
