//! The steps of a record from the file to the batch: count, time, filter, redact, enrich, encode.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::LogContext;
use super::clock::{Clock, TimeContext};
use super::encode::{FileOrigin, LogBatch, OutgoingRecord};
use super::enrich::{exception, trace_context};
use super::filter::{FilterState, Filters};
use super::framing::Record;
use crate::pipeline::queue::LogCounter;
use crate::redaction::LazyRedactor;

/// Maximum number of categories whose redacted form is cached. Applications have a few hundred
/// loggers.
const MAX_CACHED_CATEGORIES: usize = 1000;

/// Prepares records for export.
pub(super) struct Preparer {
    clock: Clock,
    redactor: Arc<LazyRedactor>,
    /// Redacted categories, by original.
    categories: HashMap<Vec<u8>, String>,
}

/// The part of a record's processing that belongs to its file: attributes, filters, and the state
/// that carries over from record to record.
#[derive(Debug, Clone)]
pub(super) struct FilePipeline {
    pub(super) origin: FileOrigin,
    pub(super) filters: Filters,
    pub(super) filter_state: FilterState,
    /// The time of the last record.
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

    /// Processes one record, which starts at `offset` in its file. `observed` is when it was read,
    /// in nanoseconds since 1970.
    pub(super) fn process(
        &mut self,
        file: &mut FilePipeline,
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
        let time_context = TimeContext { observed, previous: file.last_time };
        let time = time.and_then(|time| self.clock.unix_nanos(time, time_context));
        file.last_time = time.or(file.last_time);
        let FilePipeline { filters, filter_state, origin, .. } = file;
        if let Some(why) = filters.drop_reason(record, time.unwrap_or(observed), filter_state) {
            count(why);
            return;
        }
        let text = String::from_utf8_lossy(record.message);
        let message = self.redactor.redact(&text);
        let category = record.header.and_then(|header| header.category).map(|category| self.category(category));
        let outgoing = OutgoingRecord {
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

    /// Returns the redacted form of a category.
    fn category(&mut self, category: &[u8]) -> Cow<'_, str> {
        if !self.categories.contains_key(category) {
            if self.categories.len() >= MAX_CACHED_CATEGORIES {
                self.categories.clear();
            }
            let sent = self.redactor.redact(&String::from_utf8_lossy(category)).into_owned();
            self.categories.insert(category.to_vec(), sent);
        }
        Cow::Borrowed(self.categories.get(category).map_or("", String::as_str))
    }
}
