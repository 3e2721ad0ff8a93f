//! Reads the agent's queue file, which is a SQLite database, without the agent's code.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use rusqlite::{Connection, OpenFlags};

use crate::account::{Piece, Pieces};
use test_support::receiver::lines;

/// Maximum wait while the agent writes.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// How far the agent has read a log file.
#[derive(Debug, Clone)]
pub struct Position {
    /// Bytes that have been read.
    pub bytes: u64,
    /// The first bytes of the file, which the agent stores to recognise it.
    pub first: Vec<u8>,
}

/// A queue's file.
#[derive(Debug, Clone)]
pub struct QueueFile(PathBuf);

impl QueueFile {
    /// Returns the queue file of a data folder.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self(data.join("queue.db"))
    }

    fn open(&self) -> Connection {
        self.try_open().expect("the queue")
    }

    fn try_open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(connection)
    }

    /// Returns whether the agent has created the file.
    #[must_use]
    pub fn exists(&self) -> bool {
        let query = "SELECT count(*) FROM batch";
        self.try_open().and_then(|connection| connection.query_row(query, [], |_| Ok(()))).is_ok()
    }

    /// Returns how far a log file, by volume and number, has been read. Returns none for every file
    /// while the agent is creating the queue, or is suspended in the middle of that.
    #[must_use]
    pub fn position(&self, (volume, index): (u64, u64)) -> Option<Position> {
        let query = "SELECT position, fingerprint FROM file WHERE volume = ?1 AND file_index = ?2";
        let row =
            |row: &rusqlite::Row<'_>| Ok(Position { bytes: row.get::<_, i64>(0)?.cast_unsigned(), first: row.get(1)? });
        let key = [volume.cast_signed(), index.cast_signed()];
        self.try_open().and_then(|connection| connection.query_row(query, key, row)).ok()
    }

    /// Returns whether the agent has stopped tailing a file, by volume and number.
    #[must_use]
    pub fn has_forgotten(&self, (volume, index): (u64, u64)) -> bool {
        let query = "SELECT count(*) FROM file WHERE volume = ?1 AND file_index = ?2";
        let key = [volume.cast_signed(), index.cast_signed()];
        self.open().query_row(query, key, |row| row.get::<_, i64>(0)).expect("a count") == 0
    }

    /// Returns all counters.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let connection = self.open();
        let mut rows = connection.prepare("SELECT name, value FROM counter").expect("the counters");
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
        rows.query_map([], pair).expect("the counters").map(|row| row.expect("a counter")).collect()
    }

    /// Returns all queued log records.
    #[must_use]
    pub fn queued(&self) -> Pieces {
        let connection = self.open();
        let query = "SELECT encoding, payload FROM batch WHERE signal = 'logs' ORDER BY id";
        let mut rows = connection.prepare(query).expect("the batches");
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?));
        let mut pieces = Pieces::new();
        for row in rows.query_map([], pair).expect("the batches") {
            let (encoding, payload) = row.expect("a batch");
            assert_eq!(encoding, "gzip", "the only encoding that this reads");
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(payload.as_slice()).read_to_end(&mut bytes).expect("gzip");
            for line in lines(&ExportLogsServiceRequest::decode(bytes.as_slice()).expect("a request")) {
                let piece = pieces.entry(line.uid).or_insert_with(|| Piece { body: line.body, ..Piece::default() });
                piece.accepted += 1;
            }
        }
        pieces
    }

    /// Returns the number of queued log records, including events.
    #[must_use]
    pub fn queued_items(&self) -> u64 {
        let query = "SELECT coalesce(sum(items), 0) FROM batch WHERE signal = 'logs'";
        self.open().query_row(query, [], |row| row.get::<_, i64>(0)).expect("a sum").cast_unsigned()
    }

    /// Returns what SQLite finds wrong with the file, or `ok`.
    #[must_use]
    pub fn check(&self) -> String {
        self.open().query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer")
    }
}
