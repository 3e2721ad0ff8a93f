//! What samples of the machine add up to: plain computation, the clock is in the samples.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::HostSettings;

/// Samples that lie further apart than this many intervals have a gap between them: the machine slept, or the agent did
/// not get to run. Nobody knows what was in it, so it counts for nothing.
pub(in crate::sources) const GAP_INTERVALS: u32 = 3;

/// Time that all logical CPUs together have spent since the system started, in any one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources) struct CpuTimes {
    /// Not idle.
    pub(super) busy: u64,
    /// Altogether.
    pub(super) total: u64,
}

impl CpuTimes {
    /// The busy share of the time since `earlier`. None when no time has passed.
    fn share_since(self, earlier: Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|total| *total > 0)?;
        Some((self.busy.saturating_sub(earlier.busy) as f64 / total as f64).min(1.0))
    }
}

/// One look at the machine. What could not be read is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) cpu: Option<CpuTimes>,
    pub(super) memory: Option<Space>,
}

/// A limited amount of something, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Space {
    /// What is taken.
    pub used: u64,
    /// What there is.
    pub total: u64,
}

impl Space {
    /// From what is left of it.
    pub(super) const fn of_available(available: u64, total: u64) -> Self {
        Self { used: total.saturating_sub(available), total }
    }

    /// What is left.
    #[must_use]
    pub const fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// The used share. None when there is none of it.
    #[must_use]
    pub fn utilization(self) -> Option<f64> {
        (self.total > 0).then(|| self.used as f64 / self.total as f64)
    }
}

/// The latest figures of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct HostFigures {
    /// Busy share of the CPU over the last sample interval; none before the second sample.
    pub cpu: Option<f64>,
    /// Physical memory; none when it cannot be read.
    pub memory: Option<Space>,
    /// Seconds since the agent started with the CPU at or above its threshold.
    pub cpu_seconds_above: f64,
    /// Seconds since the agent started with memory at or above its threshold.
    pub memory_seconds_above: f64,
}

/// Takes samples, gives figures.
#[derive(Debug)]
pub(super) struct Tally {
    cpu_threshold: f64,
    memory_threshold: f64,
    longest_step: Duration,
    last: Option<Sample>,
    /// CPU times when the mean was last taken.
    mean_from: Option<CpuTimes>,
    mean: Option<f64>,
    figures: HostFigures,
}

impl Tally {
    pub(super) fn new(settings: &HostSettings) -> Self {
        Self {
            cpu_threshold: settings.cpu_threshold.get(),
            memory_threshold: settings.memory_threshold.get(),
            longest_step: settings.sample_interval.get() * GAP_INTERVALS,
            last: None,
            mean_from: None,
            mean: None,
            figures: HostFigures::default(),
        }
    }

    /// A further sample. The step before it counts as what it found: the CPU's share is that step's own, and memory that
    /// is at its limit now has been for the step.
    pub(super) fn add(&mut self, sample: Sample) {
        let last = self.last.replace(sample);
        let step = last.map_or(Duration::ZERO, |last| sample.at.saturating_duration_since(last.at));
        let counted = if step > self.longest_step { 0.0 } else { step.as_secs_f64() };

        let earlier = last.and_then(|last| last.cpu);
        self.figures.cpu = sample.cpu.zip(earlier).and_then(|(now, earlier)| now.share_since(earlier));
        self.figures.memory = sample.memory;
        if self.figures.cpu.is_some_and(|share| share >= self.cpu_threshold) {
            self.figures.cpu_seconds_above += counted;
        }
        if sample.memory.and_then(Space::utilization).is_some_and(|share| share >= self.memory_threshold) {
            self.figures.memory_seconds_above += counted;
        }
        if self.mean_from.is_none() {
            self.mean_from = sample.cpu;
        }
    }

    /// The busy share of the CPU between the latest sample and the one that was the latest at the call before. Without a
    /// sample in between it is the same as then.
    pub(super) fn take_mean_cpu(&mut self) -> Option<f64> {
        let now = self.last.and_then(|last| last.cpu)?;
        if let Some(mean) = self.mean_from.and_then(|earlier| now.share_since(earlier)) {
            self.mean_from = Some(now);
            self.mean = Some(mean);
        }
        self.mean
    }

    pub(super) const fn figures(&self) -> HostFigures {
        self.figures
    }
}

#[cfg(test)]
mod tests;
