//! Migrates format 1 to 2: stores the bytes before the read position of a log file. Frozen.

use rusqlite::Transaction;

pub(super) fn step(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE file ADD COLUMN guard BLOB NOT NULL DEFAULT x''")
}
