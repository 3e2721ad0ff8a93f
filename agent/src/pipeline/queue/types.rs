//! Data that goes into the queue and comes out of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::consent::LogKind;
use crate::otlp::{Compression, Signal};

/// An export request to be added to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Signal of the request.
    pub signal: Signal,
    /// Kind of logs that must be shared for this batch to be sent; none if no consent is needed.
    pub consent: Option<LogKind>,
    /// Number of log records, data points or spans.
    pub items: u32,
    /// Time of the oldest item.
    pub oldest_unix_nano: i64,
    /// Time of the newest item.
    pub newest_unix_nano: i64,
    /// The request as uncompressed protobuf.
    pub payload: Vec<u8>,
}

/// Identifies a batch in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchId {
    /// Whether the batch is in the store in memory, not in the file.
    pub(super) in_memory: bool,
    /// Its row in the table `batch`.
    pub(super) row: i64,
}

/// A queued export request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Identifies the batch in the queue.
    pub id: BatchId,
    /// Signal of the request.
    pub signal: Signal,
    /// Compression of `payload`.
    pub compression: Compression,
    /// Number of log records, data points or spans.
    pub items: u32,
    /// Whether this is one half of a batch that the collector rejected as too large.
    pub split: bool,
    /// The compressed request.
    pub payload: Bytes,
}

/// Read position of a log file, and what identifies the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// Kind of logs that must be shared for this file to be read.
    pub kind: LogKind,
    /// The agent's own id of the file: 16 hexadecimal digits, created when the file was first seen.
    pub id: String,
    /// Last known path.
    pub path: String,
    /// Volume of the file (device, volume serial number).
    pub volume: u64,
    /// Number of the file on its volume (inode, file index).
    pub index: u64,
    /// First bytes of the file when the position was last written, limited by the reader.
    pub fingerprint: Vec<u8>,
    /// Number of bytes already read. Always between two records.
    pub position: u64,
    /// Bytes just before the position, limited by the reader.
    pub guard: Vec<u8>,
    /// Whether the file has contained a record with a header.
    pub seen_header: bool,
}

/// A counter of events that happen before the queue, while log files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogCounter {
    /// Records found in files.
    Read,
    /// Records that were longer than the limit and were truncated.
    Truncated,
    /// Files that were truncated or replaced in place, and were read from the start again.
    Restarted,
    /// Records dropped by a filter in the settings.
    Filtered,
    /// Records dropped by sampling.
    Sampled,
    /// Records above the rate limit of a file.
    RateLimited,
}

impl LogCounter {
    /// Returns the name in [`QueueStats::counters`](super::QueueStats::counters).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read.logs",
            Self::Truncated => "cut.logs",
            Self::Restarted => "begun_anew.logs",
            Self::Filtered => "dropped.logs.filtered",
            Self::Sampled => "dropped.logs.sampled",
            Self::RateLimited => "dropped.logs.rate_limited",
        }
    }
}

/// What one sender adds to the queue. It is written in one transaction: all of it, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppendRequest {
    /// Export requests. Empty if only positions or counters change.
    pub batches: Vec<NewBatch>,
    /// New read positions of log files.
    pub files: Vec<FileState>,
    /// Amounts to add to counters.
    pub counts: BTreeMap<LogCounter, u64>,
}

/// Why data left the queue without being delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It exceeded the age limit.
    TooOld,
    /// The queue was full.
    Full,
    /// The disk had no space (see `queue.min_free_disk`) or was not writable, and memory was full.
    DiskFull,
    /// The collector rejected the request permanently.
    Refused,
    /// The collector rejected the request as too large, even after it was split.
    TooLarge,
    /// The stored data can no longer be read.
    Damaged,
    /// The user stopped sharing.
    Withdrawn,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 7] =
        [Self::TooOld, Self::Full, Self::DiskFull, Self::Refused, Self::TooLarge, Self::Damaged, Self::Withdrawn];

    /// Returns the name used in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::Full => "full",
            Self::DiskFull => "disk_full",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Damaged => "damaged",
            Self::Withdrawn => "withdrawn",
        }
    }
}
