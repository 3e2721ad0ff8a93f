//! Decides which records are exported: the filters of the settings, and a rate limit for loggers
//! that run wild.
//!
//! Invariant: a decision depends only on the record and the records before it in its file, never on
//! when it is read. So a backlog is treated as it would have been when it was written.

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use regex::Regex;

use super::framing::Record;
use crate::config::{FilterSettings, LogSettings, Severity};
use crate::glob;
use crate::pipeline::queue::LogCounter;

#[cfg(test)]
mod tests;

/// The filters that apply to one file, in their order.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    filters: Vec<Filter>,
    max_per_second: u32,
}

#[derive(Debug, Clone)]
struct Filter {
    below: Option<Severity>,
    category: Option<String>,
    pattern: Option<Regex>,
    keep_one_in: u32,
    /// Number of records that matched.
    matched: u64,
}

/// The filter state of a file that carries over from record to record.
#[derive(Debug, Clone, Default)]
pub struct FilterState {
    /// The decision for the last record that began with a header.
    last: Option<LogCounter>,
    /// The second of the last record, since 1970, and how many of its records passed the filters.
    second: (u64, u32),
}

impl Filters {
    /// Creates the filters for the file with this name (without folders).
    #[must_use]
    pub fn for_file(name: &str, settings: &LogSettings) -> Self {
        let applies = |filter: &&FilterSettings| filter.files.as_ref().is_none_or(|files| glob::matches(files, name));
        let filters = settings.filters.iter().filter(applies).map(Filter::new).collect();
        Self { filters, max_per_second: settings.max_records_per_second }
    }

    /// Returns why a record is dropped, or nothing if it is exported. `time` is when it was
    /// written, in nanoseconds since 1970. Continuation lines share the decision of their record.
    pub fn drop_reason(&mut self, record: &Record<'_>, time: u64, state: &mut FilterState) -> Option<LogCounter> {
        if record.continuation {
            return state.last;
        }
        let filtered = self.filters.iter_mut().find(|filter| filter.matches(record)).and_then(Filter::decide);
        state.last = filtered.or_else(|| self.over_rate_limit(time, state));
        state.last
    }

    fn over_rate_limit(&self, time: u64, state: &mut FilterState) -> Option<LogCounter> {
        let second = time / 1_000_000_000;
        if state.second.0 != second {
            state.second = (second, 0);
        }
        state.second.1 = state.second.1.saturating_add(1);
        (self.max_per_second > 0 && state.second.1 > self.max_per_second).then_some(LogCounter::RateLimited)
    }
}

impl Filter {
    fn new(settings: &FilterSettings) -> Self {
        Self {
            below: settings.below,
            category: settings.category.clone(),
            pattern: settings.pattern.as_ref().map(|pattern| pattern.regex().clone()),
            keep_one_in: settings.keep_one_in,
            matched: 0,
        }
    }

    fn matches(&self, record: &Record<'_>) -> bool {
        let header = record.header.as_ref();
        let level = header.and_then(|header| header.level).map(|level| level.severity);
        let category = || header.and_then(|header| header.category).map(String::from_utf8_lossy).unwrap_or_default();
        self.below.is_none_or(|minimum| level.is_some_and(|level| is_below(level, minimum)))
            && self.category.as_ref().is_none_or(|pattern| glob::matches(pattern, &category()))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&String::from_utf8_lossy(record.message)))
    }

    fn decide(&mut self) -> Option<LogCounter> {
        let nth = self.matched;
        self.matched += 1;
        match self.keep_one_in {
            0 => Some(LogCounter::Filtered),
            // The first record is exported, so that its existence is visible.
            one_in if nth.is_multiple_of(one_in.into()) => None,
            _ => Some(LogCounter::Sampled),
        }
    }
}

fn is_below(level: SeverityNumber, minimum: Severity) -> bool {
    let minimum = match minimum {
        Severity::Trace => SeverityNumber::Trace,
        Severity::Debug => SeverityNumber::Debug,
        Severity::Info => SeverityNumber::Info,
        Severity::Warn => SeverityNumber::Warn,
        Severity::Error => SeverityNumber::Error,
        Severity::Fatal => SeverityNumber::Fatal,
    };
    level != SeverityNumber::Unspecified && (level as i32) < minimum as i32
}
