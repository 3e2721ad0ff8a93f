//! The load that a fleet creates: bytes, requests, samples and time series.

use std::collections::BTreeMap;
use std::fmt;

use insights_agent::otlp::Signal;
use jiff::Timestamp;

use crate::Fleet;

/// Number of desks that the figures are scaled to.
const LARGE: f64 = 100_000.0;

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    requests: u64,
    bytes: u64,
    items: u64,
}

/// Sums over a run. [`fmt::Display`] formats them as text.
#[derive(Debug, Clone)]
pub struct Report {
    desks: f64,
    days: f64,
    signals: BTreeMap<Signal, Sum>,
    /// Requests, by minute since 1970.
    minutes: BTreeMap<i64, Sum>,
    series: u64,
}

impl Report {
    pub(crate) fn new(fleet: &Fleet) -> Self {
        let (desks, days) = (f64::from(fleet.desks), f64::from(fleet.days));
        Self { desks, days, signals: BTreeMap::new(), minutes: BTreeMap::new(), series: 0 }
    }

    pub(crate) fn request(&mut self, at: Timestamp, signal: Signal, bytes: usize, items: u32) {
        let minute = self.minutes.entry(at.as_second().div_euclid(60)).or_default();
        for sum in [minute, self.signals.entry(signal).or_default()] {
            sum.requests += 1;
            sum.bytes += bytes as u64;
            sum.items += u64::from(items);
        }
    }

    pub(crate) fn series(&mut self, series: u64) {
        self.series += series;
    }

    /// Returns the bytes that a desk sends per day.
    #[must_use]
    pub fn bytes_per_desk_and_day(&self) -> f64 {
        self.per_desk_and_day(self.signals.values().map(|sum| sum.bytes).sum())
    }

    /// Returns the requests per second in the busiest minute.
    #[must_use]
    pub fn peak_requests_per_second(&self) -> f64 {
        self.peak(|sum| sum.requests)
    }

    /// Returns the total number of requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.signals.values().map(|sum| sum.requests).sum()
    }

    fn per_desk_and_day(&self, all: u64) -> f64 {
        all as f64 / self.desks.max(1.0) / self.days.max(1.0)
    }

    fn peak(&self, of: impl Fn(&Sum) -> u64) -> f64 {
        self.minutes.values().map(of).max().unwrap_or_default() as f64 / 60.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} desks, {} days; compressed bodies of requests, without headers", self.desks, self.days)?;
        writeln!(f, "{:<10}{:>16}{:>16}{:>16}", "a desk, a day", "KB", "requests", "items")?;
        for (signal, sum) in &self.signals {
            let of = |all| self.per_desk_and_day(all);
            let (bytes, requests, items) = (of(sum.bytes) / 1e3, of(sum.requests), of(sum.items));
            writeln!(f, "{:<10}{bytes:>19.0}{requests:>16.0}{items:>16.0}", signal.name())?;
        }
        let bytes = self.bytes_per_desk_and_day();
        writeln!(f, "{:<10}{:>19.0}", "all", bytes / 1e3)?;
        let peak = self.peak_requests_per_second();
        writeln!(f, "busiest minute: {peak:.2} requests/s, {:.1} KB/s", self.peak(|sum| sum.bytes) / 1e3)?;
        writeln!(f, "new series of metrics, a desk and a day: {:.0}", self.per_desk_and_day(self.series))?;
        let factor = LARGE / self.desks.max(1.0);
        writeln!(f, "{LARGE} desks need:")?;
        writeln!(f, "  {:.0} requests/s in the busiest minute", peak * factor)?;
        writeln!(f, "  {:.0} Mbit/s in the busiest minute", self.peak(|sum| sum.bytes) * factor * 8.0 / 1e6)?;
        writeln!(f, "  {:.0} items/s in the busiest minute", self.peak(|sum| sum.items) * factor)?;
        writeln!(f, "  {:.2} TB on the wire in a month of 21 days", bytes * LARGE * 21.0 / 1e12)?;
        write!(f, "  {:.0} million series a day", self.per_desk_and_day(self.series) * LARGE / 1e6)
    }
}
