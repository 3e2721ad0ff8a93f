//! The queue's file: SQLite in WAL mode.
//!
//! Format, `user_version` 2:
//! - `batch`: one encoded OTLP export request a row, in the order of arrival (`id`). `payload` is the protobuf message,
//!   compressed as `encoding` says (`gzip`, `zstd`). `consent` names the kind of logs whose sharing it depends on.
//! - `file`: how far each log file has been taken over; see [`FileState`].
//! - `counter`: totals that outlive the program, by name, in items; see [`QueueStats::counters`].
//!
//! Invariants: a log batch and the positions of the files it was read from are committed in one transaction; a batch
//! leaves the file only by acknowledgement, by withdrawal of consent, or counted as dropped. `synchronous=NORMAL`: a
//! killed program loses nothing, a power cut at most the last transactions, with which the file positions fall back too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::{Batch, DropReason, FileState, LogCounter, NewBatch, QueueStats, SignalStats, StoreError};
use crate::config::Compression;
use crate::consent::LogKind;
use crate::pipeline::{Signal, codec};

const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  signal TEXT NOT NULL,
  consent TEXT,
  encoding TEXT NOT NULL,
  items INTEGER NOT NULL,
  oldest_unix_nano INTEGER NOT NULL,
  newest_unix_nano INTEGER NOT NULL,
  enqueued_unix_ms INTEGER NOT NULL,
  size INTEGER NOT NULL,
  split INTEGER NOT NULL DEFAULT 0,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX batch_by_signal ON batch (signal, id);
CREATE TABLE file (
  volume INTEGER NOT NULL,
  file_index INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  path TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  position INTEGER NOT NULL,
  headed INTEGER NOT NULL,
  guard BLOB NOT NULL,
  PRIMARY KEY (volume, file_index)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
";

/// Pages kept in memory, in KiB: the queue is written and read in order, a larger cache would never be hit.
const CACHE_KIB: i64 = 512;
/// Size that the write-ahead log is cut back to after a checkpoint.
const WAL_BYTES: i64 = 4 << 20;
/// Free pages that are worth giving back to the file system in one go (4 MiB).
const FREE_PAGES: i64 = 1024;
/// Longest wait for another process that reads the same file, as the command `queue` does.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

/// An export request as it is stored.
pub(super) struct StoredBatch {
    signal: Signal,
    consent: Option<LogKind>,
    compression: Compression,
    items: u32,
    oldest_unix_nano: i64,
    newest_unix_nano: i64,
    enqueued_unix_ms: i64,
    size: u64,
    payload: Vec<u8>,
}

/// A half of a batch that was too large.
pub(super) struct Half {
    /// Items in it.
    pub(super) items: u32,
    /// Its size before compression.
    pub(super) size: u64,
    /// The request, compressed.
    pub(super) payload: Vec<u8>,
}

/// The open file.
pub(super) struct Store {
    connection: Connection,
    stats: QueueStats,
}

impl Store {
    /// Opens or makes the file. One that is damaged or of a newer version is set aside under another name, never
    /// deleted, and a new one is made; its new place is returned.
    pub(super) fn open(file: &Path) -> Result<(Self, Option<PathBuf>), StoreError> {
        match Self::try_open(file) {
            Ok(store) => Ok((store, None)),
            Err(error) if error.is_unusable() => {
                let aside = set_aside(file)?;
                Ok((Self::try_open(file)?, Some(aside)))
            }
            Err(error) => Err(error),
        }
    }

    fn try_open(file: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(32);
        match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            0 => connection.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?,
            VERSION => {}
            found => return Err(StoreError::Newer { found, known: VERSION }),
        }
        let mut store = Self { connection, stats: QueueStats::default() };
        store.read_stats()?;
        Ok(store)
    }

    /// Reads what a file holds, changing nothing in it.
    pub(super) fn inspect(file: &Path) -> Result<QueueStats, StoreError> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        let found = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
        if found != VERSION {
            return Err(StoreError::Newer { found, known: VERSION });
        }
        let mut store = Self { connection, stats: QueueStats::default() };
        store.read_stats()?;
        Ok(store.stats)
    }

    pub(super) fn stats(&self) -> &QueueStats {
        &self.stats
    }

    /// Appends a batch, moves file positions and counts, in one transaction.
    pub(super) fn append(
        &mut self,
        batch: Option<&StoredBatch>,
        files: &[FileState],
        counts: &BTreeMap<LogCounter, u64>,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        if let Some(batch) = batch {
            insert(&transaction, batch)?;
        }
        for file in files {
            transaction
                .prepare_cached(
                    "INSERT INTO file (id, path, volume, file_index, fingerprint, position, headed, kind, guard)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                     ON CONFLICT (volume, file_index)
                     DO UPDATE SET id=?1, path=?2, fingerprint=?5, position=?6, headed=?7, kind=?8, guard=?9",
                )?
                .execute(params![
                    file.id,
                    file.path,
                    file.volume.cast_signed(),
                    file.index.cast_signed(),
                    file.fingerprint,
                    file.position as i64,
                    file.headed,
                    file.kind.name(),
                    file.guard
                ])?;
        }
        for (counter, count) in counts {
            add(&transaction, counter.name(), *count)?;
        }
        transaction.commit()?;
        for (counter, count) in counts {
            *self.stats.counters.entry(counter.name().to_owned()).or_default() += count;
        }
        if let Some(batch) = batch {
            self.stats.of_mut(batch.signal).added(1, u64::from(batch.items), batch.payload.len() as u64);
            let of = self.stats.of_mut(batch.signal);
            of.oldest_unix_ms.get_or_insert(batch.enqueued_unix_ms);
        }
        Ok(())
    }

    /// The oldest batch of a signal. One that says it is compressed in a way unknown here is dropped and counted.
    pub(super) fn next(&mut self, signal: Signal) -> Result<Option<Batch>, StoreError> {
        loop {
            let row = self
                .connection
                .prepare_cached(
                    "SELECT id, encoding, items, split, payload FROM batch WHERE signal = ?1 ORDER BY id LIMIT 1",
                )?
                .query_row([signal.name()], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get::<_, Vec<u8>>(4)?))
                })
                .optional()?;
            let Some((id, encoding, items, split, payload)) = row else { return Ok(None) };
            match Compression::from_token(&encoding) {
                Some(compression) => {
                    return Ok(Some(Batch { id, signal, compression, items, split, payload: payload.into() }));
                }
                None => self.drop_batch(id, DropReason::Damaged)?,
            };
        }
    }

    /// Takes a delivered batch out; `rejected` of its items were refused by the collector. False if it is gone already.
    pub(super) fn acknowledge(&mut self, id: i64, rejected: u64) -> Result<bool, StoreError> {
        self.remove(id, |transaction, signal, items| {
            add(transaction, &format!("delivered.{signal}"), u64::from(items).saturating_sub(rejected))?;
            add(transaction, &format!("rejected.{signal}"), rejected)
        })
    }

    /// Takes a batch out unsent, and counts it. False if it is gone already.
    pub(super) fn drop_batch(&mut self, id: i64, reason: DropReason) -> Result<bool, StoreError> {
        self.remove(id, |transaction, signal, items| {
            add(transaction, &format!("dropped.{signal}.{}", reason.name()), u64::from(items))
        })
    }

    fn remove(
        &mut self,
        id: i64,
        count: impl FnOnce(&Connection, Signal, u32) -> rusqlite::Result<()>,
    ) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction()?;
        let removed = transaction
            .prepare_cached("DELETE FROM batch WHERE id = ?1 RETURNING signal, items, length(payload)")?
            .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?, row.get::<_, i64>(2)?)))
            .optional()?;
        let Some((signal, items, bytes)) = removed else { return Ok(false) };
        let Some(signal) = Signal::from_name(&signal) else { return Ok(false) };
        count(&transaction, signal, items)?;
        transaction.commit()?;
        self.stats.of_mut(signal).removed(1, u64::from(items), bytes.unsigned_abs());
        self.read_counters()?;
        self.read_oldest(signal)?;
        self.give_back_space()?;
        Ok(true)
    }

    /// Puts halves in the place of a batch that was too large. They come after what is queued.
    pub(super) fn replace(&mut self, id: i64, compression: Compression, halves: &[Half]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for half in halves {
            transaction.execute(
                "INSERT INTO batch (signal, consent, encoding, items, oldest_unix_nano, newest_unix_nano, enqueued_unix_ms, size, split, payload)
                 SELECT signal, consent, ?2, ?3, oldest_unix_nano, newest_unix_nano, enqueued_unix_ms, ?4, 1, ?5
                 FROM batch WHERE id = ?1",
                params![id, compression.token(), half.items, half.size as i64, half.payload],
            )?;
        }
        transaction.execute("DELETE FROM batch WHERE id = ?1", [id])?;
        transaction.commit()?;
        self.read_stats()
    }

    /// Deletes what waits of a kind of logs, and how far its files have been taken over.
    pub(super) fn withdraw(&mut self, kind: LogKind) -> Result<u64, StoreError> {
        self.connection.execute("DELETE FROM file WHERE kind = ?1", [kind.name()])?;
        let items = self.remove_where("consent = ?1", &kind.name(), DropReason::Withdrawn)?;
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(items)
    }

    /// Drops what was put in before a time (Unix milliseconds).
    pub(super) fn drop_older(&mut self, unix_ms: i64) -> Result<u64, StoreError> {
        if Signal::ALL.iter().all(|signal| self.stats.of(*signal).oldest_unix_ms.is_none_or(|oldest| oldest >= unix_ms))
        {
            return Ok(0);
        }
        self.remove_where("enqueued_unix_ms < ?1", &unix_ms, DropReason::TooOld)
    }

    /// Drops the oldest batches of a signal until `bytes` are free, as far as there are such.
    pub(super) fn make_room(&mut self, signal: Signal, bytes: u64) -> Result<(), StoreError> {
        let mut freed = 0;
        while freed < bytes {
            let oldest = self
                .connection
                .query_row(
                    "SELECT id, length(payload) FROM batch WHERE signal = ?1 ORDER BY id LIMIT 1",
                    [signal.name()],
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
                )
                .optional()?;
            let Some((id, size)) = oldest else { break };
            self.drop_batch(id, DropReason::Full)?;
            freed += size.unsigned_abs();
        }
        Ok(())
    }

    fn remove_where(
        &mut self,
        condition: &str,
        value: &dyn rusqlite::ToSql,
        reason: DropReason,
    ) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut total = 0;
        {
            let mut groups = transaction
                .prepare(&format!("SELECT signal, sum(items) FROM batch WHERE {condition} GROUP BY signal"))?;
            let mut rows = groups.query([value])?;
            while let Some(row) = rows.next()? {
                let (signal, items): (String, i64) = (row.get(0)?, row.get(1)?);
                add(&transaction, &format!("dropped.{signal}.{}", reason.name()), items.unsigned_abs())?;
                total += items.unsigned_abs();
            }
        }
        transaction.execute(&format!("DELETE FROM batch WHERE {condition}"), [value])?;
        transaction.commit()?;
        self.read_stats()?;
        self.give_back_space()?;
        Ok(total)
    }

    /// Every log file that has been read.
    pub(super) fn files(&self) -> Result<Vec<FileState>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT id, path, volume, file_index, fingerprint, position, headed, kind, guard FROM file")?;
        let rows = statement.query_map([], |row| {
            let kind: String = row.get(7)?;
            let Some(kind) = LogKind::from_name(&kind) else { return Ok(None) };
            Ok(Some(FileState {
                kind,
                id: row.get(0)?,
                path: row.get(1)?,
                volume: row.get::<_, i64>(2)?.cast_unsigned(),
                index: row.get::<_, i64>(3)?.cast_unsigned(),
                fingerprint: row.get(4)?,
                position: row.get::<_, i64>(5)?.unsigned_abs(),
                headed: row.get(6)?,
                guard: row.get(8)?,
            }))
        })?;
        Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }

    /// Forgets a log file that is gone.
    pub(super) fn forget_file(&mut self, (volume, index): (u64, u64)) -> Result<(), StoreError> {
        let key = [volume.cast_signed(), index.cast_signed()];
        self.connection.execute("DELETE FROM file WHERE volume = ?1 AND file_index = ?2", key)?;
        Ok(())
    }

    /// Brings everything into the main file.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    fn give_back_space(&self) -> Result<(), StoreError> {
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let empty = Signal::ALL.iter().all(|signal| self.stats.of(*signal).batches == 0);
        if free > FREE_PAGES || (empty && free > 0) {
            // Each step frees one page, so the statement has to be stepped to its end.
            let mut vacuum = self.connection.prepare_cached("PRAGMA incremental_vacuum")?;
            let mut steps = vacuum.query([])?;
            while steps.next()?.is_some() {}
        }
        Ok(())
    }

    fn read_stats(&mut self) -> Result<(), StoreError> {
        let mut stats = QueueStats::default();
        {
            let mut statement = self.connection.prepare(
                "SELECT signal, count(*), sum(items), sum(length(payload)), min(enqueued_unix_ms) FROM batch GROUP BY signal",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let Some(signal) = Signal::from_name(&row.get::<_, String>(0)?) else { continue };
                *stats.of_mut(signal) = SignalStats {
                    batches: row.get::<_, i64>(1)?.unsigned_abs(),
                    items: row.get::<_, i64>(2)?.unsigned_abs(),
                    bytes: row.get::<_, i64>(3)?.unsigned_abs(),
                    oldest_unix_ms: row.get(4)?,
                };
            }
        }
        self.stats = stats;
        self.read_counters()
    }

    fn read_oldest(&mut self, signal: Signal) -> Result<(), StoreError> {
        self.stats.of_mut(signal).oldest_unix_ms = self
            .connection
            .prepare_cached("SELECT enqueued_unix_ms FROM batch WHERE signal = ?1 ORDER BY id LIMIT 1")?
            .query_row([signal.name()], |row| row.get(0))
            .optional()?;
        Ok(())
    }

    fn read_counters(&mut self) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT name, value FROM counter")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        self.stats.counters = rows.collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn insert(connection: &Connection, batch: &StoredBatch) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO batch (signal, consent, encoding, items, oldest_unix_nano, newest_unix_nano, enqueued_unix_ms, size, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            batch.signal.name(),
            batch.consent.map(LogKind::name),
            batch.compression.token(),
            batch.items,
            batch.oldest_unix_nano,
            batch.newest_unix_nano,
            batch.enqueued_unix_ms,
            batch.size as i64,
            batch.payload
        ])
}

fn add(connection: &Connection, counter: &str, items: u64) -> rusqlite::Result<()> {
    if items > 0 {
        connection
            .prepare_cached(
                "INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2",
            )?
            .execute(params![counter, items as i64])?;
    }
    Ok(())
}

/// Moves the queue's file and its write-ahead log out of the way.
fn set_aside(file: &Path) -> std::io::Result<PathBuf> {
    let stamp = jiff::Timestamp::now().as_millisecond();
    let beside = |suffix: &str, tail: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        name.push(tail);
        PathBuf::from(name)
    };
    let aside = beside(&format!(".set-aside-{stamp}"), "");
    std::fs::rename(file, &aside)?;
    for tail in ["-wal", "-shm"] {
        match std::fs::rename(beside("", tail), beside(&format!(".set-aside-{stamp}"), tail)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

impl StoredBatch {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.payload.len() as u64
    }

    /// Whether it depends on consent: then it was read from a file, and can wait there.
    pub(super) fn can_wait(&self) -> bool {
        self.consent.is_some()
    }

    /// Compresses an export request for the queue.
    pub(super) fn new(batch: &NewBatch, compression: Compression, enqueued_unix_ms: i64) -> std::io::Result<Self> {
        let stored = compression.stored();
        Ok(Self {
            signal: batch.signal,
            consent: batch.consent,
            compression: stored,
            items: batch.items,
            oldest_unix_nano: batch.oldest_unix_nano,
            newest_unix_nano: batch.newest_unix_nano,
            enqueued_unix_ms,
            size: batch.payload.len() as u64,
            payload: codec::compress(stored, &batch.payload)?,
        })
    }
}

impl StoreError {
    /// Whether the file as it is cannot be used, now or later.
    fn is_unusable(&self) -> bool {
        match self {
            Self::Newer { .. } => true,
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
            }
            Self::Io(_) => false,
        }
    }
}
