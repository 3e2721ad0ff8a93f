//! Which records are sent: filters of the settings, and a limit for loggers that run wild.
//!
//! Invariants: decisions depend on the record and on what came before it in its file, never on when it is read; so a
//! backlog is treated as it would have been when it was written.

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use regex::Regex;

use super::framing::Record;
use crate::config::{FilterSettings, LogSettings, Severity};
use crate::glob;
use crate::pipeline::queue::LogCounter;

#[cfg(test)]
mod tests;

/// The filters that can take records of one file, in their order.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    filters: Vec<Filter>,
    most_a_second: u32,
}

#[derive(Debug, Clone)]
struct Filter {
    below: Option<Severity>,
    category: Option<String>,
    pattern: Option<Regex>,
    keep_one_in: u32,
    /// Records that it has taken.
    taken: u64,
}

/// What filters remember of a file from record to record.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// What became of the last record that began with a header.
    last: Option<LogCounter>,
    /// The second of the last record, since 1970, and how many were sent of it.
    second: (u64, u32),
}

impl Filters {
    /// Those for the file with this name (without folders).
    #[must_use]
    pub fn for_file(name: &str, settings: &LogSettings) -> Self {
        let for_it = |filter: &&FilterSettings| filter.files.as_ref().is_none_or(|files| glob::matches(files, name));
        let filters = settings.filters.iter().filter(for_it).map(Filter::new).collect();
        Self { filters, most_a_second: settings.max_records_per_second }
    }

    /// Why a record is not sent; nothing, if it is. `time` is when it was written, in nanoseconds since 1970. Lines that
    /// came too late for their record share its fate.
    pub fn leave_out(&mut self, record: &Record<'_>, time: u64, memory: &mut Memory) -> Option<LogCounter> {
        if record.continuation {
            return memory.last;
        }
        let filtered = self.filters.iter_mut().find(|filter| filter.takes(record)).and_then(Filter::decide);
        memory.last = filtered.or_else(|| self.above_the_limit(time, memory));
        memory.last
    }

    fn above_the_limit(&self, time: u64, memory: &mut Memory) -> Option<LogCounter> {
        let second = time / 1_000_000_000;
        if memory.second.0 != second {
            memory.second = (second, 0);
        }
        memory.second.1 = memory.second.1.saturating_add(1);
        (self.most_a_second > 0 && memory.second.1 > self.most_a_second).then_some(LogCounter::RateLimited)
    }
}

impl Filter {
    fn new(settings: &FilterSettings) -> Self {
        Self {
            below: settings.below,
            category: settings.category.clone(),
            pattern: settings.pattern.as_ref().map(|pattern| pattern.regex().clone()),
            keep_one_in: settings.keep_one_in,
            taken: 0,
        }
    }

    fn takes(&self, record: &Record<'_>) -> bool {
        let header = record.header.as_ref();
        let level = header.and_then(|header| header.level).map(|level| level.severity);
        let category = || header.and_then(|header| header.category).map(String::from_utf8_lossy).unwrap_or_default();
        self.below.is_none_or(|least| level.is_some_and(|level| is_below(level, least)))
            && self.category.as_ref().is_none_or(|pattern| glob::matches(pattern, &category()))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&String::from_utf8_lossy(record.message)))
    }

    fn decide(&mut self) -> Option<LogCounter> {
        let nth = self.taken;
        self.taken += 1;
        match self.keep_one_in {
            0 => Some(LogCounter::Filtered),
            // The first one is sent: that there is such a thing should be seen.
            one_in if nth.is_multiple_of(one_in.into()) => None,
            _ => Some(LogCounter::Sampled),
        }
    }
}

fn is_below(level: SeverityNumber, least: Severity) -> bool {
    let least = match least {
        Severity::Trace => SeverityNumber::Trace,
        Severity::Debug => SeverityNumber::Debug,
        Severity::Info => SeverityNumber::Info,
        Severity::Warn => SeverityNumber::Warn,
        Severity::Error => SeverityNumber::Error,
        Severity::Fatal => SeverityNumber::Fatal,
    };
    level != SeverityNumber::Unspecified && (level as i32) < least as i32
}
