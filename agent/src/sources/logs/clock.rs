//! Converts the local time in a log line to an instant.
//!
//! io.Connect writes local time without a time zone. When clocks go back, one hour occurs twice,
//! and the line does not say which of the two it means. If one of them is about now, that one is
//! chosen: the line has just been written. Otherwise lines are assumed to be in order: the earlier
//! one is chosen, unless the previous line is later. Times that clocks skip when they go forward
//! are read as if the clocks had not changed yet. Without a previous line, all of this equals
//! jiff's `Disambiguation::Compatible`, which RFC 5545 (section 3.3.5) also requires.
//!
//! When someone sets the machine's clock, lines keep the times that they show: nothing is
//! corrected. The observed time is that of the agent's own clock, which jumps as well.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

#[cfg(test)]
mod tests;

/// A point in time as a log line shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The date and time of day.
    pub civil: DateTime,
    /// The offset from UTC, if the line contains it.
    pub offset: Option<Offset>,
}

/// What helps to choose between two possible instants. In nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeContext {
    /// When the line was read.
    pub observed: u64,
    /// The time of the previous record in the same file.
    pub previous: Option<u64>,
}

/// A line is taken as just written if it was read at most this long after its time. This is longer
/// than an idle reader waits, and shorter than half of the time by which clocks are set back.
const MAX_READ_DELAY_NANOS: u64 = 10 * 60 * 1_000_000_000;
/// Threads that write to the same file may write their lines in a different order than they took
/// the time.
const ORDER_TOLERANCE_NANOS: u64 = 1_000_000_000;

/// Converts [`LocalTime`]s to instants. Caches the offset between the two clock changes around the
/// last time, so that only the first time after a clock change needs a time zone lookup.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    cached: OffsetSpan,
}

/// A range of local times that have the same offset from UTC. `from` is inclusive, `to` is
/// exclusive.
#[derive(Debug, Clone, Copy)]
struct OffsetSpan {
    from: DateTime,
    to: DateTime,
    offset: Offset,
    /// From which local time on the range occurs a second time, and the offset from UTC then.
    repeated: Option<(DateTime, Offset)>,
}

impl Clock {
    /// Creates a clock for `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            cached: OffsetSpan { from: DateTime::MAX, to: DateTime::MIN, offset: Offset::UTC, repeated: None },
        }
    }

    /// Returns nanoseconds since 1970-01-01T00:00:00Z, or nothing for times before that and after
    /// the year 2554, where OTLP's unsigned 64 bits end.
    pub fn unix_nanos(&mut self, time: LocalTime, context: TimeContext) -> Option<u64> {
        let civil = time.civil;
        if let Some(offset) = time.offset {
            return unix_nanos(civil, offset);
        }
        if !(self.cached.from <= civil && civil < self.cached.to) {
            self.cached = OffsetSpan::containing(&self.zone, civil)?;
        }
        let first = unix_nanos(civil, self.cached.offset)?;
        let Some((_, later)) = self.cached.repeated.filter(|(from, _)| *from <= civil) else { return Some(first) };
        let second = unix_nanos(civil, later)?;
        let is_now = |instant: u64| instant.abs_diff(context.observed) <= MAX_READ_DELAY_NANOS;
        let is_in_order =
            context.previous.is_none_or(|previous| previous <= first.saturating_add(ORDER_TOLERANCE_NANOS));
        Some(if is_now(second) || (!is_now(first) && !is_in_order) { second } else { first })
    }
}

fn unix_nanos(civil: DateTime, offset: Offset) -> Option<u64> {
    let instant = offset.to_timestamp(civil).ok()?;
    let seconds = u64::try_from(instant.as_second()).ok()?;
    let nanos = u64::try_from(instant.subsec_nanosecond()).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

impl OffsetSpan {
    /// Returns the range that contains `civil`.
    ///
    /// At a clock change, the offset before the change also applies to local times that are skipped
    /// and to those that occur twice. So the range ends at the local time given by the greater of
    /// both offsets.
    fn containing(zone: &TimeZone, civil: DateTime) -> Option<Self> {
        let offset = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => offset,
            // No clock ever shows this time: nothing to cache.
            AmbiguousOffset::Gap { before, .. } => {
                return Some(Self { from: civil, to: civil, offset: before, repeated: None });
            }
        };
        let instant = offset.to_timestamp(civil).ok()?;
        let nanosecond = SignedDuration::from_nanos(1);
        let begin = instant.checked_add(nanosecond).ok().and_then(|after| zone.preceding(after).next());
        let from = begin.map_or(DateTime::MIN, |change| {
            let before = change.timestamp().checked_sub(nanosecond).map_or(offset, |at| zone.to_offset(at));
            before.max(offset).to_datetime(change.timestamp())
        });
        let end = zone.following(instant).next();
        let (to, repeated) = end.map_or((DateTime::MAX, None), |change| {
            let shown_after = change.offset().to_datetime(change.timestamp());
            let shown_before = offset.to_datetime(change.timestamp());
            let repeated = (shown_after < shown_before).then(|| (shown_after, change.offset()));
            (shown_after.max(shown_before), repeated)
        });
        Some(Self { from, to, offset, repeated })
    }
}
