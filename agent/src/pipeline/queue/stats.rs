//! What is said of the queue.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::types::{DropReason, LogCounter};
use crate::otlp::Signal;

/// What waits of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SignalStats {
    /// Requests.
    pub batches: u64,
    /// Log records, data points or spans.
    pub items: u64,
    /// Compressed bytes.
    pub bytes: u64,
    /// When the oldest was put in.
    pub oldest_unix_ms: Option<i64>,
}

impl SignalStats {
    pub(super) fn added(&mut self, batches: u64, items: u64, bytes: u64) {
        self.batches += batches;
        self.items += items;
        self.bytes += bytes;
    }

    pub(super) fn removed(&mut self, batches: u64, items: u64, bytes: u64) {
        self.batches = self.batches.saturating_sub(batches);
        self.items = self.items.saturating_sub(items);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A file that could not be used, and was put aside under another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Where it lies.
    pub path: PathBuf,
    /// Why it could not be used.
    pub reason: AsideReason,
    /// When it was put there.
    pub at_unix_ms: i64,
    /// Bytes that it takes.
    pub bytes: u64,
}

/// Why a file could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsideReason {
    /// It is damaged, or no queue at all.
    Damaged,
    /// A newer agent has written it.
    Newer,
}

impl AsideReason {
    pub(super) const ALL: [Self; 2] = [Self::Damaged, Self::Newer];

    /// In words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Damaged => "a damaged file was set aside",
            Self::Newer => "a file of a newer version was set aside",
        }
    }

    /// As written in the name of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Newer => "newer",
        }
    }
}

/// What the queue holds, and what has left it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueStats {
    /// What waits, metrics.
    pub metrics: SignalStats,
    /// What waits, traces.
    pub traces: SignalStats,
    /// What waits, logs.
    pub logs: SignalStats,
    /// Items since the queue was made: `queued.<signal>`, `delivered.<signal>`, `rejected.<signal>`,
    /// `dropped.<signal>.<reason>`, and those of [`LogCounter`]; files: `set_aside`, `set_aside.removed`.
    pub counters: BTreeMap<String, u64>,
    /// Files that could not be used and lie beside the queue, oldest first.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
    /// What is wrong with the queue's file or disk, and what was since the start of the program, in words.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl QueueStats {
    /// Adds what is held elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        for signal in Signal::ALL {
            let (of, more) = (self.of_mut(signal), other.of(signal));
            of.added(more.batches, more.items, more.bytes);
            of.oldest_unix_ms = of.oldest_unix_ms.into_iter().chain(more.oldest_unix_ms).min();
        }
        for (name, number) in &other.counters {
            *self.counters.entry(name.clone()).or_default() += number;
        }
    }

    /// What waits of a signal.
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

    /// Compressed bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).bytes).sum()
    }

    /// Requests that wait.
    #[must_use]
    pub fn batches(&self) -> u64 {
        Signal::ALL.iter().map(|signal| self.of(*signal).batches).sum()
    }

    /// When the oldest that waits was put in.
    #[must_use]
    pub fn oldest_unix_ms(&self) -> Option<i64> {
        Signal::ALL.iter().filter_map(|signal| self.of(*signal).oldest_unix_ms).min()
    }

    /// Items dropped for reasons that are a loss: all but what the user or the settings wanted.
    #[must_use]
    pub fn lost_items(&self) -> u64 {
        let withdrawn = format!(".{}", DropReason::Withdrawn.name());
        let wanted = [LogCounter::Filtered.name(), LogCounter::Sampled.name()];
        self.counters
            .iter()
            .filter(|(name, _)| name.starts_with("dropped."))
            .filter(|(name, _)| !name.ends_with(&withdrawn) && !wanted.contains(&name.as_str()))
            .map(|(_, items)| items)
            .sum()
    }
}
