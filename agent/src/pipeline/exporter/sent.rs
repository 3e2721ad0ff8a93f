//! The batches that the collector took last, kept in memory so that the user can see exactly what has left the machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::otlp::describe::{self, Described};
use crate::otlp::{Compression, Signal, compression};
use crate::pipeline::queue::Batch;
use crate::time::now_unix_ms;

/// Batches of a signal that are kept.
const MOST_BATCHES: usize = 5;
/// Larger ones are not kept, as of a backlog of log lines: it is memory that nobody looks at.
const LARGEST: usize = 64 << 10;
/// Largest size that one of them may have unpacked, and the longest answer to whoever looks.
const LARGEST_UNPACKED: usize = 4 << 20;
/// Items that are shown of a batch.
const MOST_LINES: usize = 200;

/// What was sent last, by signal. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<Mutex<BTreeMap<Signal, VecDeque<Kept>>>>);

#[derive(Debug, Clone)]
struct Kept {
    acknowledged_unix_ms: i64,
    items: u32,
    compression: Compression,
    payload: Bytes,
}

/// A batch that was sent, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentBatch {
    /// When the collector took it.
    pub acknowledged_unix_ms: i64,
    /// Data points, spans or log records in it.
    pub items: u32,
    /// Its size on the wire.
    pub bytes: usize,
    /// Attributes of its resource.
    pub resource: Vec<(String, String)>,
    /// A line for each item.
    pub lines: Vec<String>,
    /// Items that have no line.
    pub left_out: usize,
}

impl Sent {
    /// Keeps a batch that was taken, in the place of the oldest of its signal.
    pub fn remember(&self, batch: &Batch) {
        if batch.payload.len() > LARGEST {
            return;
        }
        let Batch { items, compression, ref payload, .. } = *batch;
        let kept = Kept { acknowledged_unix_ms: now_unix_ms(), items, compression, payload: payload.clone() };
        let mut all = self.0.lock();
        let of = all.entry(batch.signal).or_default();
        of.push_front(kept);
        of.truncate(MOST_BATCHES);
    }

    /// Forgets all of them.
    pub fn forget(&self) {
        self.0.lock().clear();
    }

    /// Those of a signal, the latest first.
    #[must_use]
    pub fn of(&self, signal: Signal) -> Vec<SentBatch> {
        let kept = self.0.lock().get(&signal).cloned().unwrap_or_default();
        kept.into_iter().filter_map(|kept| kept.describe(signal)).collect()
    }
}

impl Kept {
    fn describe(self, signal: Signal) -> Option<SentBatch> {
        let plain = compression::decompress(self.compression, &self.payload, LARGEST_UNPACKED).ok()?;
        let Described { resource, mut lines } = describe::describe(signal, &plain).ok()?;
        let left_out = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        let Self { acknowledged_unix_ms, items, payload, .. } = self;
        Some(SentBatch { acknowledged_unix_ms, items, bytes: payload.len(), resource, lines, left_out })
    }
}
