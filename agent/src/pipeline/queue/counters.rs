//! Queue statistics: how much is queued, and counters of everything that entered and left.
//!
//! **Invariant**, after every commit, for each signal and in items:
//! `queued = delivered + rejected + dropped by the queue + items still queued`. Therefore
//! [`balance_counters`] can compute how much was lost to damage.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::quarantine::QuarantinedFile;
use super::rows::add_to_counter;
use super::types::{DropReason, LogCounter};
use crate::otlp::Signal;

/// Amount of queued data of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SignalStats {
    /// Number of export requests.
    pub batches: u64,
    /// Number of log records, data points or spans.
    pub items: u64,
    /// Compressed bytes.
    pub bytes: u64,
    /// Time at which the oldest batch was queued.
    pub oldest_unix_ms: Option<i64>,
}

impl SignalStats {
    pub(super) fn add(&mut self, batches: u64, items: u64, bytes: u64) {
        self.batches += batches;
        self.items += items;
        self.bytes += bytes;
    }

    pub(super) fn subtract(&mut self, batches: u64, items: u64, bytes: u64) {
        self.batches = self.batches.saturating_sub(batches);
        self.items = self.items.saturating_sub(items);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// State of the queue: queued data, counters, quarantined files and current problems.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueStats {
    /// Queued metrics.
    pub metrics: SignalStats,
    /// Queued traces.
    pub traces: SignalStats,
    /// Queued logs.
    pub logs: SignalStats,
    /// Totals since the queue was created. Items: `queued.<signal>`, `delivered.<signal>`,
    /// `rejected.<signal>`, `dropped.<signal>.<reason>`, and the counters of [`LogCounter`].
    /// Quarantined files: `set_aside`, `set_aside.removed`.
    pub counters: BTreeMap<String, u64>,
    /// Quarantined queue files that still exist, oldest first.
    #[serde(default, rename = "set_aside")]
    pub quarantined: Vec<QuarantinedFile>,
    /// Messages: current problems with the queue file or its disk, and damage found since the agent
    /// started.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl QueueStats {
    /// Adds the queued data and counters of another store.
    pub(super) fn add(&mut self, other: &Self) {
        for signal in Signal::ALL {
            let (sum, more) = (self.of_mut(signal), other.of(signal));
            sum.add(more.batches, more.items, more.bytes);
            sum.oldest_unix_ms = sum.oldest_unix_ms.into_iter().chain(more.oldest_unix_ms).min();
        }
        for (name, number) in &other.counters {
            *self.counters.entry(name.clone()).or_default() += number;
        }
    }

    /// Returns the amount of queued data of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &SignalStats {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    pub(super) fn of_mut(&mut self, signal: Signal) -> &mut SignalStats {
        match signal {
            Signal::Metrics => &mut self.metrics,
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
        }
    }

    /// Returns the compressed bytes of all queued batches.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).bytes).sum()
    }

    /// Returns the number of queued batches.
    #[must_use]
    pub fn batches(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).batches).sum()
    }

    /// Returns the number of queued items.
    #[must_use]
    pub fn items(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).items).sum()
    }

    /// Returns the time at which the oldest queued batch was queued.
    #[must_use]
    pub fn oldest_unix_ms(&self) -> Option<i64> {
        Signal::ALL.iter().filter_map(|signal| self.of(*signal).oldest_unix_ms).min()
    }

    /// Returns the number of items that were lost: dropped items, except those that the user or the
    /// settings excluded on purpose.
    #[must_use]
    pub fn lost_items(&self) -> u64 {
        let withdrawn = format!(".{}", DropReason::Withdrawn.name());
        let intended = [LogCounter::Filtered.name(), LogCounter::Sampled.name()];
        self.counters
            .iter()
            .filter(|(name, _)| name.starts_with("dropped."))
            .filter(|(name, _)| !name.ends_with(&withdrawn) && !intended.contains(&name.as_str()))
            .map(|(_, items)| items)
            .sum()
    }
}

/// Returns the name of the counter of items added to the queue.
pub(super) fn queued(signal: Signal) -> String {
    format!("queued.{signal}")
}

/// Returns the name of the counter of delivered items.
pub(super) fn delivered(signal: Signal) -> String {
    format!("delivered.{signal}")
}

/// Returns the name of the counter of items that the collector rejected in a partial success.
pub(super) fn rejected(signal: Signal) -> String {
    format!("rejected.{signal}")
}

/// Returns the name of the counter of items dropped for a reason.
pub(super) fn dropped(signal: Signal, reason: DropReason) -> String {
    format!("dropped.{signal}.{}", reason.name())
}

/// Reads the amount of queued data and the counters from a database of any known format.
pub(super) fn read_stats(connection: &Connection) -> Result<QueueStats, StoreError> {
    let mut stats = QueueStats::default();
    let mut statement = connection.prepare_cached(
        "SELECT signal, count(*), sum(items), sum(length(payload)), min(enqueued_unix_ms) FROM batch GROUP BY signal",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(signal) = Signal::from_name(&row.get::<_, String>(0)?) else {
            return Err(StoreError::Damaged("it contains an unknown signal"));
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

/// Reads all counters.
pub(super) fn read_counters(connection: &Connection) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM counter")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Restores the invariant of this module after data was lost.
///
/// Items that were queued, are gone, and are in no other counter are counted as `damaged`. If more
/// items exist than were counted, because counters were lost, the difference is counted as
/// `queued`.
pub(super) fn balance_counters(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let stats = read_stats(transaction)?;
    let counter = |name: String| stats.counters.get(&name).copied().unwrap_or(0);
    for signal in Signal::ALL {
        let in_total = counter(queued(signal));
        let dropped_total = DropReason::ALL.into_iter().map(|reason| counter(dropped(signal, reason)));
        let answered = [counter(delivered(signal)), counter(rejected(signal))];
        let accounted = answered.into_iter().chain(dropped_total).fold(stats.of(signal).items, u64::saturating_add);
        add_to_counter(transaction, &dropped(signal, DropReason::Damaged), in_total.saturating_sub(accounted))?;
        add_to_counter(transaction, &queued(signal), accounted.saturating_sub(in_total))?;
    }
    Ok(())
}
