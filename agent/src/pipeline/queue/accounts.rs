//! What was put in, and what became of it: the counters and the sums.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};

use super::StoreError;
use super::rows::add;
use super::stats::{QueueStats, SignalStats};
use super::types::DropReason;
use crate::otlp::Signal;

/// Name of the counter of what was put in.
pub(super) fn queued(signal: Signal) -> String {
    format!("queued.{signal}")
}

/// Name of a counter of losses.
pub(super) fn dropped(signal: Signal, reason: DropReason) -> String {
    format!("dropped.{signal}.{}", reason.name())
}

/// Reads what waits, and the counters, from a file of any known format.
pub(super) fn read_stats(connection: &Connection) -> Result<QueueStats, StoreError> {
    let mut stats = QueueStats::default();
    let mut statement = connection.prepare_cached(
        "SELECT signal, count(*), sum(items), sum(length(payload)), min(enqueued_unix_ms) FROM batch GROUP BY signal",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(signal) = Signal::from_name(&row.get::<_, String>(0)?) else {
            return Err(StoreError::Damaged("a signal in it is unknown"));
        };
        *stats.of_mut(signal) = SignalStats {
            batches: row.get::<_, i64>(1)?.unsigned_abs(),
            items: row.get::<_, i64>(2)?.unsigned_abs(),
            bytes: row.get::<_, i64>(3)?.unsigned_abs(),
            oldest_unix_ms: row.get(4)?,
        };
    }
    stats.counters = read_counters(connection)?;
    Ok(stats)
}

pub(super) fn read_counters(connection: &Connection) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM counter")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts as damaged what was put in and is neither there nor counted as anything else. Where more is there than was
/// counted, as when counters were lost, it is counted as put in.
pub(super) fn settle_accounts(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let stats = read_stats(transaction)?;
    let counter = |name: String| stats.counters.get(&name).copied().unwrap_or(0);
    for signal in Signal::ALL {
        let put_in = counter(queued(signal));
        let lost = DropReason::ALL.into_iter().map(|reason| counter(dropped(signal, reason)));
        let left = [counter(format!("delivered.{signal}")), counter(format!("rejected.{signal}"))];
        let accounted = left.into_iter().chain(lost).fold(stats.of(signal).items, u64::saturating_add);
        add(transaction, &dropped(signal, DropReason::Damaged), put_in.saturating_sub(accounted))?;
        add(transaction, &queued(signal), accounted.saturating_sub(put_in))?;
    }
    Ok(())
}
