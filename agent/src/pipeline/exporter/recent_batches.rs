//! The last batches that the collector accepted, kept in memory so that the user can see exactly
//! what was sent from this machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::otlp::describe::{self, Described};
use crate::otlp::{Compression, Signal, compression};
use crate::pipeline::queue::Batch;
use crate::time::now_unix_ms;

/// Maximum number of batches kept per signal.
const MAX_BATCHES: usize = 5;
/// Maximum size of a batch that is kept, compressed. Larger ones, such as a backlog of log lines,
/// would use memory for something that nobody looks at.
const MAX_BATCH_BYTES: usize = 64 << 10;
/// Maximum decompressed size of a batch; this also limits the size of the reply that shows it.
const MAX_DECOMPRESSED_BYTES: usize = 4 << 20;
/// Maximum number of items shown per batch.
const MAX_LINES: usize = 200;

/// The last accepted batches of each signal. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RecentBatches(Arc<Mutex<BTreeMap<Signal, VecDeque<KeptBatch>>>>);

#[derive(Debug, Clone)]
struct KeptBatch {
    acknowledged_unix_ms: i64,
    items: u32,
    compression: Compression,
    payload: Bytes,
}

/// The content of an accepted batch as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentBatch {
    /// When the collector acknowledged it.
    pub acknowledged_unix_ms: i64,
    /// Number of data points, spans or log records.
    pub items: u32,
    /// Size as sent, in bytes.
    pub bytes: usize,
    /// Attributes of its resource.
    pub resource: Vec<(String, String)>,
    /// One line per item.
    pub lines: Vec<String>,
    /// Number of items without a line.
    pub left_out: usize,
}

impl RecentBatches {
    /// Keeps an accepted batch. The oldest batch of the signal is removed if there are too many.
    pub fn record(&self, batch: &Batch) {
        if batch.payload.len() > MAX_BATCH_BYTES {
            return;
        }
        let Batch { items, compression, ref payload, .. } = *batch;
        let kept = KeptBatch { acknowledged_unix_ms: now_unix_ms(), items, compression, payload: payload.clone() };
        let mut by_signal = self.0.lock();
        let batches = by_signal.entry(batch.signal).or_default();
        batches.push_front(kept);
        batches.truncate(MAX_BATCHES);
    }

    /// Removes all batches.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Returns the batches of a signal, the latest first.
    #[must_use]
    pub fn of(&self, signal: Signal) -> Vec<SentBatch> {
        let batches = self.0.lock().get(&signal).cloned().unwrap_or_default();
        batches.into_iter().filter_map(|kept| kept.describe(signal)).collect()
    }
}

impl KeptBatch {
    fn describe(self, signal: Signal) -> Option<SentBatch> {
        let plain = compression::decompress(self.compression, &self.payload, MAX_DECOMPRESSED_BYTES).ok()?;
        let Described { resource, mut lines } = describe::describe(signal, &plain).ok()?;
        let left_out = lines.len().saturating_sub(MAX_LINES);
        lines.truncate(MAX_LINES);
        let Self { acknowledged_unix_ms, items, payload, .. } = self;
        Some(SentBatch { acknowledged_unix_ms, items, bytes: payload.len(), resource, lines, left_out })
    }
}
