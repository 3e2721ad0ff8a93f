//! Changes to the queue that can wait until the file can be written again.
//!
//! The order and the reason are described in `resilient_store.rs`.

use std::collections::BTreeMap;

use super::StoreError;
use super::rows::StoredBatch;
use super::store::Store;
use super::types::DropReason;
use crate::consent::LogKind;

/// A change that has taken effect for the agent but may not be in the file yet.
#[derive(Debug)]
pub(super) enum DeferredWrite {
    /// Removes a delivered batch.
    Acknowledge { row: i64, rejected: u64 },
    /// Removes a batch that is not delivered.
    Drop { row: i64, reason: DropReason },
    /// Replaces a batch by its halves.
    Replace { row: i64, halves: Vec<StoredBatch> },
    /// Deletes the batches and file positions of a kind of logs.
    Purge(LogKind),
    /// Deletes the position of a log file that no longer exists.
    ForgetFile((u64, u64)),
    /// Adds to counters.
    Count(BTreeMap<String, u64>),
}

impl DeferredWrite {
    /// Applies the change to a store.
    pub(super) fn apply(&self, store: &mut Store) -> Result<(), StoreError> {
        match self {
            Self::Acknowledge { row, rejected } => store.acknowledge(*row, *rejected),
            Self::Drop { row, reason } => store.drop_batch(*row, *reason),
            Self::Replace { row, halves } => store.replace(*row, halves),
            Self::Purge(kind) => store.purge(*kind).map(|_| ()),
            Self::ForgetFile(key) => store.forget_file(*key),
            Self::Count(numbers) => store.count(numbers),
        }
    }
}
