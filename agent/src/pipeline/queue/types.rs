//! What goes into the queue and what comes out of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::consent::LogKind;
use crate::otlp::{Compression, Signal};

/// An export request on its way into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Which kind of request.
    pub signal: Signal,
    /// The kind of logs whose sharing it depends on.
    pub consent: Option<LogKind>,
    /// Log records, data points or spans in it.
    pub items: u32,
    /// Time of its oldest item.
    pub oldest_unix_nano: i64,
    /// Time of its newest item.
    pub newest_unix_nano: i64,
    /// The request as protobuf, not compressed.
    pub payload: Vec<u8>,
}

/// A batch's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchId {
    /// Whether it lies in memory, not in the file.
    pub(super) in_memory: bool,
    /// Its row.
    pub(super) row: i64,
}

/// An export request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the queue.
    pub id: BatchId,
    /// Which kind of request.
    pub signal: Signal,
    /// How `payload` is compressed.
    pub compression: Compression,
    /// Log records, data points or spans in it.
    pub items: u32,
    /// Whether it is a half of one that was too large.
    pub split: bool,
    /// The request, compressed.
    pub payload: Bytes,
}

/// How far a log file has been taken over. The position always lies between two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// The kind of logs whose sharing it depends on.
    pub kind: LogKind,
    /// Our own name for the file, 16 hexadecimal digits, made when it was first seen.
    pub id: String,
    /// Where it was last seen.
    pub path: String,
    /// Volume that it lies on.
    pub volume: u64,
    /// Its number on that volume (inode, file index).
    pub index: u64,
    /// Its first bytes, as many as there were when the position was last written, at most a limit of the reader's.
    pub fingerprint: Vec<u8>,
    /// Bytes taken over.
    pub position: u64,
    /// The bytes before the position, as many as there are, at most a limit of the reader's.
    pub guard: Vec<u8>,
    /// Whether a record with a header has been seen in it.
    pub headed: bool,
}

/// What is counted while log files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogCounter {
    /// Records that were found in files.
    Read,
    /// Records that were longer than the limit, and were cut.
    Cut,
    /// Files that were cut short or replaced in place, and were read from their beginning again.
    BegunAnew,
    /// Records that a filter of the settings left out.
    Filtered,
    /// Records that sampling left out.
    Sampled,
    /// Records above the rate that one file may have.
    RateLimited,
}

impl LogCounter {
    /// As written in [`QueueStats::counters`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read.logs",
            Self::Cut => "cut.logs",
            Self::BegunAnew => "begun_anew.logs",
            Self::Filtered => "dropped.logs.filtered",
            Self::Sampled => "dropped.logs.sampled",
            Self::RateLimited => "dropped.logs.rate_limited",
        }
    }
}

/// What was read of log files since the last hand-over, or what an app has sent: all of it is kept in one transaction, or
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HandOver {
    /// The requests, if there is anything to be sent.
    pub batches: Vec<NewBatch>,
    /// How far the files have been read.
    pub files: Vec<FileState>,
    /// What happened on the way.
    pub counts: BTreeMap<LogCounter, u64>,
}

/// Why data left the queue without being delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It became older than the limit.
    TooOld,
    /// The queue was full.
    Full,
    /// The disk had no room for it (see `queue.min_free_disk`), or could not be written, and memory was full.
    DiskFull,
    /// The collector refused the request for good.
    Refused,
    /// The collector called it too large, even halved.
    TooLarge,
    /// What was stored cannot be read any more.
    Damaged,
    /// The user stopped sharing.
    Withdrawn,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::TooOld, Self::Full, Self::DiskFull, Self::Refused, Self::TooLarge, Self::Damaged, Self::Withdrawn];

    /// As written in counters.
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
