//! The queue database while nothing is wrong with it: SQLite in WAL mode.
//!
//! The format is described in docs/on-disk-formats.md. The same code also runs on a database in
//! memory, which holds data that cannot be written to the file.
//!
//! **Invariants:**
//!
//! - A batch of log records and the positions of the files it was read from are committed in one
//!   transaction.
//! - A batch leaves only by acknowledgement, by withdrawal of consent, or by being dropped and
//!   counted.
//! - A batch comes out exactly as it went in, or it is counted as damaged.
//! - For each signal, in items: `queued = delivered + rejected + dropped + items still queued`
//!   (`counters.rs`).
//!
//! With `synchronous=NORMAL`, a killed agent loses nothing. A power failure can undo the last
//! transactions, and with them the file positions, so that the records are read again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::StoreError;
use super::counters::{QueueStats, balance_counters, delivered, dropped, queued, read_counters, read_stats, rejected};
use super::migrations::{self, VERSION};
use super::rows::{self, BATCH_COLUMNS, FILE_COLUMNS, StoredBatch, add_to_counter};
use super::types::{DropReason, FileState, LogCounter};
use crate::consent::LogKind;
use crate::otlp::Signal;

/// Size of the page cache in KiB. The queue is written and read in order, so a larger cache would
/// never be hit.
const CACHE_KIB: i64 = 512;
/// Size to which SQLite truncates the write-ahead log when it starts it again.
const WAL_SIZE_LIMIT_BYTES: i64 = 4 << 20;
/// Minimum size of the write-ahead log for a checkpoint. Less is not worth two flushes of the disk.
const MIN_CHECKPOINT_WAL_BYTES: u64 = 512 << 10;
/// Maximum free pages that are kept while data is queued (4 MiB). The next batches reuse them.
const MAX_FREE_PAGES: i64 = 1024;
/// Maximum free pages that are kept while the queue is empty (256 KiB).
const MAX_FREE_PAGES_WHEN_EMPTY: i64 = 64;
/// Pages returned to the file system between two checks of the time limit.
const PAGES_PER_VACUUM_STEP: i64 = 64;
/// Maximum wait for another process that uses the file, such as the command `queue`. Commands to
/// the queue thread wait meanwhile.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum expired batches dropped in one transaction, so that the queue thread is soon free again.
const MAX_DROPS_PER_TRANSACTION: u32 = 64;
/// Maximum id of a batch. No queue ever reaches it. The limit keeps a damaged number from
/// exhausting SQLite's ids, which end at 2^63.
pub(super) const MAX_BATCH_ID: i64 = 1 << 53;
/// Signals in the order in which irreplaceable data is dropped when space is needed.
const LEAST_VALUABLE_FIRST: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

/// What one sender adds, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct PreparedAppend<'a> {
    pub(super) batches: &'a [StoredBatch],
    pub(super) files: &'a [FileState],
    pub(super) counts: &'a BTreeMap<LogCounter, u64>,
}

/// An open queue database.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    stats: QueueStats,
    newest_unix_ms: Option<i64>,
    last_id: i64,
}

impl Store {
    /// Opens or creates the file and migrates it to the current format.
    pub(super) fn open(file: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let format = read_format(&connection)?;
        if format == 0 {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT_BYTES)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Self::with_connection(connection, format)
    }

    /// Creates a store in memory.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        // Each batch that leaves frees its memory at once.
        connection.pragma_update(None, "auto_vacuum", "FULL")?;
        Self::with_connection(connection, 0)
    }

    fn with_connection(mut connection: Connection, format: i64) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(32);
        if format < VERSION {
            migrations::migrate(&mut connection, format)?;
        }
        let mut store = Self { connection, stats: QueueStats::default(), newest_unix_ms: None, last_id: 0 };
        store.load_state()?;
        Ok(store)
    }

    /// Loads the statistics, the time of the newest batch and the last batch id.
    pub(super) fn load_state(&mut self) -> Result<(), StoreError> {
        self.load_stats()?;
        self.newest_unix_ms =
            self.connection.query_row("SELECT max(enqueued_unix_ms) FROM batch", [], |row| row.get(0))?;
        let last = "SELECT seq FROM sqlite_sequence WHERE name = 'batch'";
        self.last_id = self.connection.query_row(last, [], |row| row.get(0)).optional()?.unwrap_or(0);
        if self.last_id > MAX_BATCH_ID {
            return Err(StoreError::Damaged("its last batch id is too high"));
        }
        Ok(())
    }

    /// Reads the statistics of a file without changing anything in it.
    pub(super) fn inspect(file: &Path) -> Result<QueueStats, StoreError> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if read_format(&connection)? == 0 {
            return Ok(QueueStats::default());
        }
        read_stats(&connection)
    }

    /// Returns the statistics, without quarantined files and problems.
    pub(super) fn stats(&self) -> &QueueStats {
        &self.stats
    }

    /// Returns the positions of all log files.
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

    /// Returns whether the store contains batches or counters.
    pub(super) fn has_data(&self) -> bool {
        self.stats.batches() > 0 || !self.stats.counters.is_empty()
    }

    /// Returns when the newest batch was queued, as of opening the store.
    pub(super) fn newest_unix_ms(&self) -> Option<i64> {
        self.newest_unix_ms
    }

    /// Returns the highest batch id that was ever used.
    pub(super) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// Adds batches, file positions and counts of several senders in one transaction.
    pub(super) fn append(&mut self, appends: &[PreparedAppend<'_>]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut id = self.last_id;
        for append in appends {
            for batch in append.batches {
                id = batch.insert(&transaction, None)?;
                add_to_counter(&transaction, &queued(batch.signal), u64::from(batch.items))?;
            }
            for file in append.files {
                rows::put_file(&transaction, file)?;
            }
            for (counter, count) in append.counts {
                add_to_counter(&transaction, counter.name(), *count)?;
            }
        }
        transaction.commit()?;
        self.last_id = id;
        let mut count = |name: String, number| *self.stats.counters.entry(name).or_default() += number;
        for (counter, number) in appends.iter().flat_map(|append| append.counts) {
            count(counter.name().to_owned(), *number);
        }
        for batch in appends.iter().flat_map(|append| append.batches) {
            count(queued(batch.signal), u64::from(batch.items));
        }
        for batch in appends.iter().flat_map(|append| append.batches) {
            let stats = self.stats.of_mut(batch.signal);
            stats.add(1, u64::from(batch.items), batch.compressed_bytes());
            stats.oldest_unix_ms.get_or_insert(batch.enqueued_unix_ms);
        }
        Ok(())
    }

    /// Returns the oldest batch of a signal with an id above `after`, and its id.
    ///
    /// Batches of a kind in `withheld` are skipped. Damaged batches are removed and counted.
    pub(super) fn next(
        &mut self,
        signal: Signal,
        after: i64,
        withheld: &BTreeSet<LogKind>,
    ) -> Result<Option<(i64, StoredBatch)>, StoreError> {
        let mut after = after;
        let mut skipped = after > 0;
        loop {
            let row = self
                .connection
                .prepare_cached(&format!(
                    "SELECT {BATCH_COLUMNS} FROM batch WHERE signal = ?1 AND id > ?2 ORDER BY id LIMIT 1"
                ))?
                .query_row(params![signal.name(), after], |row| Ok((row.get::<_, i64>(0)?, StoredBatch::from_row(row))))
                .optional()?;
            let Some((id, batch)) = row else {
                if skipped || self.stats.of(signal).batches == 0 {
                    return Ok(None);
                }
                return Err(StoreError::Damaged("queued batches cannot be found in it"));
            };
            match batch.filter(|batch| batch.signal == signal) {
                Some(batch) if batch.consent.is_some_and(|kind| withheld.contains(&kind)) => {
                    skipped = true;
                    after = id;
                }
                Some(batch) => return Ok(Some((id, batch))),
                None => self.drop_damaged(id)?,
            }
        }
    }

    /// Removes a delivered batch. The collector rejected `rejected` of its items.
    pub(super) fn acknowledge(&mut self, id: i64, rejected_items: u64) -> Result<(), StoreError> {
        self.remove(id, |transaction, signal, items| {
            let rejected_items = rejected_items.min(items);
            add_to_counter(transaction, &delivered(signal), items - rejected_items)?;
            add_to_counter(transaction, &rejected(signal), rejected_items)
        })
    }

    /// Removes a batch that is not delivered, and counts it.
    pub(super) fn drop_batch(&mut self, id: i64, reason: DropReason) -> Result<(), StoreError> {
        self.remove(id, |transaction, signal, items| add_to_counter(transaction, &dropped(signal, reason), items))
    }

    fn drop_damaged(&mut self, id: i64) -> Result<(), StoreError> {
        tracing::error!(id, "dropped a damaged batch from the queue");
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM batch WHERE id = ?1", [id])?;
        balance_counters(&transaction)?;
        transaction.commit()?;
        self.load_stats()
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
        // The batch may have been dropped in the meantime.
        let Some((signal, items, bytes)) = removed else { return Ok(()) };
        let signal = Signal::from_name(&signal).ok_or(StoreError::Damaged("it contains an unknown signal"))?;
        count(&transaction, signal, u64::from(items))?;
        transaction.commit()?;
        self.stats.of_mut(signal).subtract(1, u64::from(items), u64::from(bytes));
        self.stats.counters = read_counters(&self.connection)?;
        self.load_oldest(signal)
    }

    /// Replaces a batch that was too large by its halves, which are queued after all other batches.
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
        balance_counters(&transaction)?;
        transaction.commit()?;
        self.last_id = last;
        self.load_stats()
    }

    /// Deletes the queued batches and the file positions of a kind of logs, and returns how many
    /// records were deleted. The deleted bytes are overwritten in the file.
    pub(super) fn purge(&mut self, kind: LogKind) -> Result<u64, StoreError> {
        let has_files = "SELECT EXISTS (SELECT 1 FROM file WHERE kind = ?1)";
        if self.stats.logs.batches == 0 && !self.connection.query_row(has_files, [kind.name()], |row| row.get(0))? {
            return Ok(0);
        }
        self.connection.pragma_update(None, "secure_delete", true)?;
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM file WHERE kind = ?1", [kind.name()])?;
        let of_kind = "FROM batch WHERE signal = ?1 AND consent = ?2";
        let values = [Signal::Logs.name(), kind.name()];
        let items: i64 =
            transaction.query_row(&format!("SELECT coalesce(sum(items), 0) {of_kind}"), values, |row| row.get(0))?;
        transaction.execute(&format!("DELETE {of_kind}"), values)?;
        add_to_counter(&transaction, &dropped(Signal::Logs, DropReason::Withdrawn), items.unsigned_abs())?;
        transaction.commit()?;
        self.connection.pragma_update(None, "secure_delete", false)?;
        self.load_stats()?;
        self.checkpoint()?;
        Ok(items.unsigned_abs())
    }

    /// Drops some batches that were queued before a time, and returns how many items they had. If
    /// the result is not 0, there may be more of them.
    pub(super) fn drop_older_than(&mut self, unix_ms: i64) -> Result<u64, StoreError> {
        if self.stats.oldest_unix_ms().is_none_or(|oldest| oldest >= unix_ms) {
            return Ok(0);
        }
        let expired: Vec<i64> = self
            .connection
            .prepare_cached("SELECT id FROM batch WHERE enqueued_unix_ms < ?1 LIMIT ?2")?
            .query_map(params![unix_ms, MAX_DROPS_PER_TRANSACTION], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        self.drop_all(&expired, DropReason::TooOld)
    }

    /// Drops batches until `bytes` are free for a batch of `arriving`, and returns whether that was
    /// possible. If it is not, nothing is dropped.
    ///
    /// Only batches that depend on no consent are dropped, because batches of log files can be read
    /// again. The least valuable signal comes first, up to the arriving one; within a signal the
    /// oldest batch comes first.
    pub(super) fn make_room(&mut self, arriving: Signal, bytes: u64, reason: DropReason) -> Result<bool, StoreError> {
        let mut freed = 0;
        let mut dropped = Vec::new();
        let candidates = LEAST_VALUABLE_FIRST.iter().take_while(|signal| **signal != arriving).chain([&arriving]);
        for signal in candidates {
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
            let signal = Signal::from_name(&signal).ok_or(StoreError::Damaged("it contains an unknown signal"))?;
            add_to_counter(&transaction, &dropped(signal, reason), u64::from(items))?;
            total += u64::from(items);
        }
        transaction.commit()?;
        self.load_stats()?;
        Ok(total)
    }

    /// Adds to counters.
    pub(super) fn count(&mut self, numbers: &BTreeMap<String, u64>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for (counter, number) in numbers {
            add_to_counter(&transaction, counter, *number)?;
        }
        transaction.commit()?;
        self.stats.counters = read_counters(&self.connection)?;
        Ok(())
    }

    /// Deletes the position of a log file that no longer exists.
    pub(super) fn forget_file(&self, (volume, index): (u64, u64)) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM file WHERE volume = ?1 AND file_index = ?2",
            [volume.cast_signed(), index.cast_signed()],
        )?;
        Ok(())
    }

    /// Moves all batches and counters from a store in memory to this one, in one transaction.
    pub(super) fn absorb(&mut self, memory: &mut Self) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut last = self.last_id;
        {
            let mut statement = memory.connection.prepare(&format!("SELECT {BATCH_COLUMNS} FROM batch ORDER BY id"))?;
            let mut batches = statement.query([])?;
            while let Some(row) = batches.next()? {
                if let Some(batch) = StoredBatch::from_row(row) {
                    last = batch.insert(&transaction, None)?;
                }
            }
        }
        for (counter, number) in &memory.stats.counters {
            add_to_counter(&transaction, counter, *number)?;
        }
        transaction.commit()?;
        self.last_id = last;
        memory.connection.execute_batch("DELETE FROM batch; DELETE FROM counter;")?;
        memory.load_stats()?;
        self.load_stats()
    }

    /// Returns unused space to the file system for about `limit`, and returns whether there is more
    /// to do.
    pub(super) fn reclaim_space(&mut self, limit: Duration) -> Result<bool, StoreError> {
        let started = Instant::now();
        let empty = self.stats.batches() == 0;
        if empty
            && self.connection.query_row("SELECT EXISTS (SELECT 1 FROM batch NOT INDEXED)", [], |row| row.get(0))?
        {
            return Err(StoreError::Damaged("its index does not list all queued batches"));
        }
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free > if empty { MAX_FREE_PAGES_WHEN_EMPTY } else { MAX_FREE_PAGES } {
            let mut left = free;
            while left > 0 && started.elapsed() < limit {
                // Each row of the result frees one page, so the statement must run to its end.
                let mut vacuum =
                    self.connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_PER_VACUUM_STEP})"))?;
                let mut steps = vacuum.query([])?;
                while steps.next()?.is_some() {}
                left -= PAGES_PER_VACUUM_STEP;
            }
            return Ok(true);
        }
        let wal = self.connection.path().map(|path| format!("{path}-wal"));
        let wal_bytes = wal.and_then(|wal| std::fs::metadata(wal).ok()).map_or(0, |wal| wal.len());
        if wal_bytes > MIN_CHECKPOINT_WAL_BYTES {
            self.checkpoint()?;
        }
        Ok(false)
    }

    /// Writes everything into the main file, and empties the write-ahead log if no other process
    /// reads it.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    /// Writes everything into the main file and closes it.
    pub(super) fn close(self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.connection.close().map_err(|(_, error)| error.into())
    }

    fn load_stats(&mut self) -> Result<(), StoreError> {
        self.stats = read_stats(&self.connection)?;
        Ok(())
    }

    fn load_oldest(&mut self, signal: Signal) -> Result<(), StoreError> {
        self.stats.of_mut(signal).oldest_unix_ms = self
            .connection
            .prepare_cached("SELECT enqueued_unix_ms FROM batch WHERE signal = ?1 ORDER BY id LIMIT 1")?
            .query_row([signal.name()], |row| row.get(0))
            .optional()?;
        Ok(())
    }
}

/// Returns the format of the file; 0 for an empty file.
fn read_format(connection: &Connection) -> Result<i64, StoreError> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        known @ 0..=VERSION => Ok(known),
        found @ 0.. => Err(StoreError::Newer { found, known: VERSION }),
        _ => Err(StoreError::Damaged("its format number is invalid")),
    }
}
