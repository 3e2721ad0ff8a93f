//! From the time that a log line shows to the instant that it means.
//!
//! io.Connect writes local time without a zone. Where the clocks go back, an hour is shown twice, and the line does not
//! tell which of the two is meant. If one of the two is about now, it is that one: the line has just been written. Else
//! lines are taken to be in order: it is the earlier one, unless the line before is later than that. Times that clocks
//! skipped when they went forward are read as if the clocks had not yet been changed. Without a line before, all this
//! is jiff's `Disambiguation::Compatible`, which RFC 5545 (section 3.3.5) asks for too.
//!
//! When somebody sets the machine's clock, lines have the times that they show: nothing is corrected. The time of
//! observation is that of our own clock, which jumps along.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

#[cfg(test)]
mod tests;

/// A point in time as a log line shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// What calendar and clock show.
    pub civil: DateTime,
    /// The distance from UTC, if the line tells it.
    pub offset: Option<Offset>,
}

/// What is known of the instants around a time that is shown twice. Nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// When it was read.
    pub observed: u64,
    /// The time of the record before it in the same file.
    pub previous: Option<u64>,
}

/// A line that is read at most so long after it was written has just been written: longer than an idle reader waits, and
/// shorter than the half of what clocks are set back by.
const JUST_NOW: u64 = 10 * 60 * 1_000_000_000;
/// Threads that write to the same file may hand over their lines in another order than they took the time.
const ORDER_SLACK: u64 = 1_000_000_000;

/// Turns [`LocalTime`]s into instants. It remembers between which changes of the clocks the last one lay, so that only
/// the first time after such a change asks the time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    last: Span,
}

/// Local times that have the same distance from UTC: `from` is inside, `to` is not.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: DateTime,
    to: DateTime,
    offset: Offset,
    /// From when on they come a second time, and the distance from UTC then.
    again: Option<(DateTime, Offset)>,
}

impl Clock {
    /// A clock on the wall of `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, last: Span { from: DateTime::MAX, to: DateTime::MIN, offset: Offset::UTC, again: None } }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z; nothing for times before that and after the year 2554, where OTLP's
    /// unsigned 64 bits end.
    pub fn unix_nanos(&mut self, time: LocalTime, around: Around) -> Option<u64> {
        let civil = time.civil;
        if let Some(offset) = time.offset {
            return unix_nanos(civil, offset);
        }
        if !(self.last.from <= civil && civil < self.last.to) {
            self.last = Span::around(&self.zone, civil)?;
        }
        let first = unix_nanos(civil, self.last.offset)?;
        let Some((_, later)) = self.last.again.filter(|(from, _)| *from <= civil) else { return Some(first) };
        let second = unix_nanos(civil, later)?;
        let is_now = |instant: u64| instant.abs_diff(around.observed) <= JUST_NOW;
        let is_in_order = around.previous.is_none_or(|previous| previous <= first.saturating_add(ORDER_SLACK));
        Some(if is_now(second) || (!is_now(first) && !is_in_order) { second } else { first })
    }
}

fn unix_nanos(civil: DateTime, offset: Offset) -> Option<u64> {
    let instant = offset.to_timestamp(civil).ok()?;
    let seconds = u64::try_from(instant.as_second()).ok()?;
    let nanos = u64::try_from(instant.subsec_nanosecond()).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

impl Span {
    /// The span that holds `civil`.
    ///
    /// At a change of the clocks, the distance from UTC that was valid before it also counts for the local times that
    /// are skipped and for those that come twice: until the local time that the greater of both distances gives.
    fn around(zone: &TimeZone, civil: DateTime) -> Option<Self> {
        let offset = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => offset,
            // No clock ever shows this time: nothing to remember.
            AmbiguousOffset::Gap { before, .. } => {
                return Some(Self { from: civil, to: civil, offset: before, again: None });
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
        let (to, again) = end.map_or((DateTime::MAX, None), |change| {
            let shown_after = change.offset().to_datetime(change.timestamp());
            let shown_before = offset.to_datetime(change.timestamp());
            let again = (shown_after < shown_before).then(|| (shown_after, change.offset()));
            (shown_after.max(shown_before), again)
        });
        Some(Self { from, to, offset, again })
    }
}
