//! Migrates format 2 to 3: a checksum for each batch, an index that answers how much is queued, and
//! a counter of queued items. Frozen.

use rusqlite::{Row, Transaction, params};

pub(super) fn step(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE batch ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")?;
    let mut last = i64::MIN;
    // Row by row, to limit memory: a payload can have a mebibyte, and a queue hundreds of them.
    loop {
        let next = transaction
            .prepare_cached(
                "SELECT id, signal, consent, encoding, items, oldest_unix_nano, newest_unix_nano, split, payload
                 FROM batch WHERE id > ?1 ORDER BY id LIMIT 1",
            )?
            .query_map([last], |row| Ok((row.get::<_, i64>(0)?, checksum(row)?)))?
            .next()
            .transpose()?;
        let Some((id, checksum)) = next else { break };
        transaction.prepare_cached("UPDATE batch SET checksum = ?2 WHERE id = ?1")?.execute(params![id, checksum])?;
        last = id;
    }
    transaction.execute_batch(
        "DROP INDEX batch_by_signal;
         CREATE INDEX batch_by_signal ON batch (signal, id, consent, items, length(payload), enqueued_unix_ms);
         INSERT INTO counter (name, value)
         SELECT 'queued.' || signal, sum(items) FROM (
           SELECT signal, items FROM batch
           UNION ALL
           SELECT substr(name, 11), value FROM counter WHERE name GLOB 'delivered.*'
           UNION ALL
           SELECT substr(name, 10), value FROM counter WHERE name GLOB 'rejected.*'
           UNION ALL
           SELECT substr(name, 9, instr(substr(name, 9), '.') - 1), value FROM counter
           WHERE name GLOB 'dropped.*'
             AND substr(name, 9 + instr(substr(name, 9), '.'))
               IN ('too_old', 'full', 'refused', 'too_large', 'damaged', 'withdrawn')
         ) GROUP BY signal;",
    )
}

/// Returns the CRC-32 (ISO-HDLC, as in gzip) of the texts, each followed by a zero byte, the
/// numbers in little-endian byte order, and the payload.
fn checksum(row: &Row<'_>) -> rusqlite::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    for text in [row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?.unwrap_or_default(), row.get(3)?] {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    for column in [4, 5, 6, 7] {
        hasher.update(&row.get::<_, i64>(column)?.to_le_bytes());
    }
    hasher.update(&row.get::<_, Vec<u8>>(8)?);
    Ok(hasher.finalize())
}
