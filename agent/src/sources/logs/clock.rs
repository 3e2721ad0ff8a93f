//! From the time that a log line shows to the instant that it means.
//!
//! io.Connect writes local time without a zone. Where the clocks go back, an hour is shown twice, and the line does not
//! tell which of the two is meant: the earlier instant is taken. Times that clocks skipped when they went forward are
//! read as if the clocks had not yet been changed. This is jiff's `Disambiguation::Compatible`, which RFC 5545
//! (section 3.3.5) asks for too.

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
}

impl Clock {
    /// A clock on the wall of `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, last: Span { from: DateTime::MAX, to: DateTime::MIN, offset: Offset::UTC } }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z; nothing for times before that and after the year 2554, where OTLP's
    /// unsigned 64 bits end.
    pub fn unix_nanos(&mut self, time: LocalTime) -> Option<u64> {
        let offset = match time.offset {
            Some(offset) => offset,
            None => self.offset(time.civil)?,
        };
        let instant = offset.to_timestamp(time.civil).ok()?;
        let seconds = u64::try_from(instant.as_second()).ok()?;
        let nanos = u64::try_from(instant.subsec_nanosecond()).ok()?;
        seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
    }

    fn offset(&mut self, civil: DateTime) -> Option<Offset> {
        if !(self.last.from <= civil && civil < self.last.to) {
            self.last = Span::around(&self.zone, civil)?;
        }
        Some(self.last.offset)
    }
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
            AmbiguousOffset::Gap { before, .. } => return Some(Self { from: civil, to: civil, offset: before }),
        };
        let instant = offset.to_timestamp(civil).ok()?;
        let nanosecond = SignedDuration::from_nanos(1);
        let begin = instant.checked_add(nanosecond).ok().and_then(|after| zone.preceding(after).next());
        let from = begin.map_or(DateTime::MIN, |change| {
            let before = change.timestamp().checked_sub(nanosecond).map_or(offset, |at| zone.to_offset(at));
            before.max(offset).to_datetime(change.timestamp())
        });
        let end = zone.following(instant).next();
        let to = end.map_or(DateTime::MAX, |change| change.offset().max(offset).to_datetime(change.timestamp()));
        Some(Self { from, to, offset })
    }
}
