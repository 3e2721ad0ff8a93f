//! Reads and writes rows of the queue's tables.
//!
//! Every batch is verified when it is read: a row whose checksum does not match is treated as
//! absent.

use std::io;

use rusqlite::{Connection, Row, params};

use super::types::{FileState, NewBatch};
use crate::consent::LogKind;
use crate::otlp::{Compression, Signal, compression};

/// Columns of the table `batch`, in the order that [`StoredBatch::from_row`] expects.
pub(super) const BATCH_COLUMNS: &str = "id, signal, consent, encoding, items, oldest_unix_nano, newest_unix_nano, enqueued_unix_ms, size, split, payload, checksum";
/// Columns of the table `file`, in the order that [`file_from_row`] expects.
pub(super) const FILE_COLUMNS: &str = "volume, file_index, id, kind, path, fingerprint, position, headed, guard";

/// An export request as it is stored in the table `batch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredBatch {
    pub(super) signal: Signal,
    pub(super) consent: Option<LogKind>,
    pub(super) compression: Compression,
    pub(super) items: u32,
    pub(super) oldest_unix_nano: i64,
    pub(super) newest_unix_nano: i64,
    pub(super) enqueued_unix_ms: i64,
    /// Size of the payload before compression; the column `size`.
    pub(super) uncompressed_bytes: u64,
    /// Whether this is one half of a batch that a collector rejected as too large.
    pub(super) split: bool,
    pub(super) payload: Vec<u8>,
}

impl StoredBatch {
    /// Compresses an export request for the queue.
    pub(super) fn new(batch: &NewBatch, compression: Compression, enqueued_unix_ms: i64) -> io::Result<Self> {
        let stored = compression.stored();
        Ok(Self {
            signal: batch.signal,
            consent: batch.consent,
            compression: stored,
            items: batch.items,
            oldest_unix_nano: batch.oldest_unix_nano,
            newest_unix_nano: batch.newest_unix_nano,
            enqueued_unix_ms,
            uncompressed_bytes: batch.payload.len() as u64,
            split: false,
            payload: compression::compress(stored, &batch.payload)?,
        })
    }

    /// Returns the compressed size of the payload.
    pub(super) fn compressed_bytes(&self) -> u64 {
        self.payload.len() as u64
    }

    /// Reads a batch from a row. Returns none if the checksum does not match or a value is unknown.
    pub(super) fn from_row(row: &Row<'_>) -> Option<Self> {
        let batch = Self::from_row_unchecked(row)?;
        (row.get::<_, u32>(11).ok()? == batch.checksum()).then_some(batch)
    }

    /// Reads a batch from a row of an older format, which has no checksum.
    pub(super) fn from_row_unchecked(row: &Row<'_>) -> Option<Self> {
        let consent = match row.get::<_, Option<String>>(2).ok()? {
            Some(name) => Some(LogKind::from_name(&name)?),
            None => None,
        };
        Some(Self {
            signal: Signal::from_name(&row.get::<_, String>(1).ok()?)?,
            consent,
            compression: Compression::from_token(&row.get::<_, String>(3).ok()?)?,
            items: row.get(4).ok()?,
            oldest_unix_nano: row.get(5).ok()?,
            newest_unix_nano: row.get(6).ok()?,
            enqueued_unix_ms: row.get(7).ok()?,
            uncompressed_bytes: u64::try_from(row.get::<_, i64>(8).ok()?).ok()?,
            split: row.get(9).ok()?,
            payload: row.get(10).ok()?,
        })
    }

    /// Returns the CRC-32 of every value that is sent or that decides about sending; the exact
    /// input is in docs/on-disk-formats.md.
    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for text in [self.signal.name(), self.consent.map_or("", LogKind::name), self.compression.token()] {
            hasher.update(text.as_bytes());
            hasher.update(&[0]);
        }
        for number in [i64::from(self.items), self.oldest_unix_nano, self.newest_unix_nano, i64::from(self.split)] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&self.payload);
        hasher.finalize()
    }

    /// Inserts the batch with the given id, or with the next free one, and returns its id.
    pub(super) fn insert(&self, connection: &Connection, id: Option<i64>) -> rusqlite::Result<i64> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO batch (id, signal, consent, encoding, items, oldest_unix_nano, newest_unix_nano,
                                enqueued_unix_ms, size, split, payload, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        statement.insert(params![
            id,
            self.signal.name(),
            self.consent.map(LogKind::name),
            self.compression.token(),
            self.items,
            self.oldest_unix_nano,
            self.newest_unix_nano,
            self.enqueued_unix_ms,
            self.uncompressed_bytes.cast_signed(),
            self.split,
            self.payload,
            self.checksum()
        ])
    }
}

/// Reads a file position from a row. Returns none if a value is unknown.
pub(super) fn file_from_row(row: &Row<'_>) -> Option<FileState> {
    Some(FileState {
        volume: row.get::<_, i64>(0).ok()?.cast_unsigned(),
        index: row.get::<_, i64>(1).ok()?.cast_unsigned(),
        id: row.get(2).ok()?,
        kind: LogKind::from_name(&row.get::<_, String>(3).ok()?)?,
        path: row.get(4).ok()?,
        fingerprint: row.get(5).ok()?,
        position: u64::try_from(row.get::<_, i64>(6).ok()?).ok()?,
        seen_header: row.get(7).ok()?,
        guard: row.get(8).ok()?,
    })
}

/// Inserts or updates the read position of a log file.
pub(super) fn put_file(connection: &Connection, file: &FileState) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO file (volume, file_index, id, kind, path, fingerprint, position, headed, guard)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (volume, file_index)
         DO UPDATE SET id=?3, kind=?4, path=?5, fingerprint=?6, position=?7, headed=?8, guard=?9",
    )?;
    statement.execute(params![
        file.volume.cast_signed(),
        file.index.cast_signed(),
        file.id,
        file.kind.name(),
        file.path,
        file.fingerprint,
        file.position.cast_signed(),
        file.seen_header,
        file.guard
    ])?;
    Ok(())
}

/// Adds a number to a counter. Zero creates no counter.
pub(super) fn add_to_counter(connection: &Connection, counter: &str, number: u64) -> rusqlite::Result<()> {
    if number > 0 {
        connection
            .prepare_cached(
                "INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2",
            )?
            .execute(params![counter, number.cast_signed()])?;
    }
    Ok(())
}
