//! What happens to a record on its way from the file into the batch: counted, given its time, filtered, redacted,
//! enriched, encoded.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::LogContext;
use super::clock::{Around, Clock};
use super::encode::{FileOrigin, LogBatch, Outgoing};
use super::enrich::{exception, trace_context};
use super::filter::{Filters, Memory};
use super::framing::Record;
use crate::pipeline::queue::LogCounter;
use crate::redaction::LazyRedactor;

/// Categories that are remembered with what is sent of them: loggers have a few hundred.
const MOST_CATEGORIES: usize = 1000;

/// Prepares records for sending.
pub(super) struct Preparer {
    clock: Clock,
    redactor: Arc<LazyRedactor>,
    /// Categories as they are sent.
    categories: HashMap<Vec<u8>, String>,
}

/// What one file contributes to its records, and what it remembers of them.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) origin: FileOrigin,
    pub(super) filters: Filters,
    pub(super) memory: Memory,
    /// Time of the last record.
    pub(super) last_time: Option<u64>,
}

impl Preparer {
    pub(super) fn new(context: &LogContext) -> Self {
        Self {
            clock: Clock::new(context.zone.clone()),
            redactor: Arc::clone(&context.redactor),
            categories: HashMap::new(),
        }
    }

    /// Takes one record, which begins at `offset` in its file. `observed` is when it was read, in nanoseconds since 1970.
    pub(super) fn take(
        &mut self,
        stream: &mut Stream,
        record: &Record<'_>,
        (offset, observed): (u64, u64),
        batch: &mut LogBatch,
        counts: &mut BTreeMap<LogCounter, u64>,
    ) {
        let mut count = |counter| *counts.entry(counter).or_default() += 1;
        count(LogCounter::Read);
        if record.cut {
            count(LogCounter::Truncated);
        }
        let time = record.header.and_then(|header| header.time);
        let around = Around { observed, previous: stream.last_time };
        let time = time.and_then(|time| self.clock.unix_nanos(time, around));
        stream.last_time = time.or(stream.last_time);
        let Stream { filters, memory, origin, .. } = stream;
        if let Some(why) = filters.leave_out(record, time.unwrap_or(observed), memory) {
            count(why);
            return;
        }
        let text = String::from_utf8_lossy(record.message);
        let message = self.redactor.redact(&text);
        let category = record.header.and_then(|header| header.category).map(|category| self.category(category));
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

    /// A category as it is sent.
    fn category(&mut self, category: &[u8]) -> Cow<'_, str> {
        if !self.categories.contains_key(category) {
            if self.categories.len() >= MOST_CATEGORIES {
                self.categories.clear();
            }
            let sent = self.redactor.redact(&String::from_utf8_lossy(category)).into_owned();
            self.categories.insert(category.to_vec(), sent);
        }
        Cow::Borrowed(self.categories.get(category).map_or("", String::as_str))
    }
}
