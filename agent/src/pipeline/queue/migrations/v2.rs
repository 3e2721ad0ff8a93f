//! Format 1 to 2: the bytes before a log file's position are kept. Frozen.

use rusqlite::Transaction;

pub(super) fn step(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE file ADD COLUMN guard BLOB NOT NULL DEFAULT x''")
}
