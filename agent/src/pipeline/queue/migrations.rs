//! Migrations of the queue file: one frozen step from each format to the next.
//!
//! A new file runs all steps. A step imports nothing from the rest of the program, so that no later
//! change can alter it.

#[cfg(test)]
mod tests;
mod v1;
mod v2;
mod v3;

use rusqlite::Connection;

/// The current format (`user_version`).
pub(super) const VERSION: i64 = 3;

/// Migrates a database from format `found` (0 for an empty file) to the current one, in one
/// transaction.
pub(super) fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    migrate_to(connection, found, VERSION)
}

fn migrate_to(connection: &mut Connection, found: i64, wanted: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in found..wanted {
        match step {
            0 => v1::step(&transaction)?,
            1 => v2::step(&transaction)?,
            _ => v3::step(&transaction)?,
        }
    }
    transaction.pragma_update(None, "user_version", wanted)?;
    transaction.commit()
}
