//! What happens to a record on its way from the file into the batch: counted, given its time, enriched, encoded.

use std::collections::BTreeMap;

use super::LogContext;
use super::clock::{Around, Clock};
use super::encode::{FileOrigin, LogBatch, Outgoing};
use super::enrich::{exception, trace_context};
use super::framing::Record;
use crate::pipeline::queue::LogCounter;

/// Prepares records for sending.
pub(super) struct Preparer {
    clock: Clock,
}

/// Where a record comes from.
pub(super) struct RecordContext<'a> {
    /// Its file.
    pub(super) origin: &'a FileOrigin,
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// When it was read, in nanoseconds since 1970.
    pub(super) observed: u64,
    /// Time of the record before it in the file.
    pub(super) last_time: &'a mut Option<u64>,
}

impl Preparer {
    pub(super) fn new(context: &LogContext) -> Self {
        Self { clock: Clock::new(context.zone.clone()) }
    }

    /// Takes one record.
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        context: RecordContext<'_>,
        batch: &mut LogBatch,
        counts: &mut BTreeMap<LogCounter, u64>,
    ) {
        let mut count = |counter| *counts.entry(counter).or_default() += 1;
        count(LogCounter::Read);
        if record.cut {
            count(LogCounter::Cut);
        }
        let RecordContext { origin, offset, observed, last_time } = context;
        let time = record.header.and_then(|header| header.time);
        let around = Around { observed, previous: *last_time };
        let time = time.and_then(|time| self.clock.unix_nanos(time, around));
        *last_time = time.or(*last_time);
        let message = String::from_utf8_lossy(record.message);
        let category = record.header.and_then(|header| header.category).map(String::from_utf8_lossy);
        let outgoing = Outgoing {
            record,
            message: &message,
            category: category.as_deref(),
            trace: trace_context(record.message),
            exception: exception(&message),
            offset,
            time,
            observed,
        };
        batch.push(origin, &outgoing);
    }
}
