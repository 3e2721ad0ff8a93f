//! The agent's queue, read without the agent's code: its file is SQLite.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use rusqlite::{Connection, OpenFlags};

use crate::account::{Piece, Pieces};
use test_support::receiver::lines;

/// Longest wait while the agent writes.
const BUSY: std::time::Duration = std::time::Duration::from_secs(2);

/// How far the agent has read a log file.
#[derive(Debug, Clone)]
pub struct Position {
    /// Bytes taken.
    pub bytes: u64,
    /// The file's first bytes, as far as the agent has looked at them.
    pub first: Vec<u8>,
}

/// A queue's file.
#[derive(Debug, Clone)]
pub struct QueueFile(PathBuf);

impl QueueFile {
    /// That of a data folder.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self(data.join("queue.db"))
    }

    fn open(&self) -> Connection {
        self.try_open().expect("the queue")
    }

    fn try_open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }

    /// Whether the agent has made it.
    #[must_use]
    pub fn is_made(&self) -> bool {
        let query = "SELECT count(*) FROM batch";
        self.try_open().and_then(|connection| connection.query_row(query, [], |_| Ok(()))).is_ok()
    }

    /// How far a file has been read, by its volume and number. Nothing is known of any file while the agent makes the
    /// queue, or is suspended in the middle of that.
    #[must_use]
    pub fn position(&self, (volume, index): (u64, u64)) -> Option<Position> {
        let query = "SELECT position, fingerprint FROM file WHERE volume = ?1 AND file_index = ?2";
        let row =
            |row: &rusqlite::Row<'_>| Ok(Position { bytes: row.get::<_, i64>(0)?.cast_unsigned(), first: row.get(1)? });
        let key = [volume.cast_signed(), index.cast_signed()];
        self.try_open().and_then(|connection| connection.query_row(query, key, row)).ok()
    }

    /// Whether it is surely known that a file is not followed any more.
    #[must_use]
    pub fn has_forgotten(&self, (volume, index): (u64, u64)) -> bool {
        let query = "SELECT count(*) FROM file WHERE volume = ?1 AND file_index = ?2";
        let key = [volume.cast_signed(), index.cast_signed()];
        self.open().query_row(query, key, |row| row.get::<_, i64>(0)).expect("a count") == 0
    }

    /// All counters.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let connection = self.open();
        let mut rows = connection.prepare("SELECT name, value FROM counter").expect("the counters");
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
        rows.query_map([], pair).expect("the counters").map(|row| row.expect("a counter")).collect()
    }

    /// Every log record that waits.
    #[must_use]
    pub fn waiting(&self) -> Pieces {
        let connection = self.open();
        let query = "SELECT encoding, payload FROM batch WHERE signal = 'logs' ORDER BY id";
        let mut rows = connection.prepare(query).expect("the batches");
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?));
        let mut pieces = Pieces::new();
        for row in rows.query_map([], pair).expect("the batches") {
            let (encoding, payload) = row.expect("a batch");
            assert_eq!(encoding, "gzip", "only that is read here");
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(payload.as_slice()).read_to_end(&mut bytes).expect("gzip");
            for line in lines(&ExportLogsServiceRequest::decode(bytes.as_slice()).expect("a request")) {
                let piece = pieces.entry(line.uid).or_insert_with(|| Piece { body: line.body, ..Piece::default() });
                piece.stored += 1;
            }
        }
        pieces
    }

    /// How many log records wait, events among them.
    #[must_use]
    pub fn waiting_items(&self) -> u64 {
        let query = "SELECT coalesce(sum(items), 0) FROM batch WHERE signal = 'logs'";
        self.open().query_row(query, [], |row| row.get::<_, i64>(0)).expect("a sum").cast_unsigned()
    }

    /// What SQLite finds wrong with the file; `ok` if nothing.
    #[must_use]
    pub fn check(&self) -> String {
        self.open().query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer")
    }
}
