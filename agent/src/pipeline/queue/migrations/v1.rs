//! Creates format 1. Frozen: files of this format exist on users' machines.

use rusqlite::Transaction;

pub(super) fn step(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE batch (
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
           PRIMARY KEY (volume, file_index)
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    )
}
