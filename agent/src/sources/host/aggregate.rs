//! Aggregates samples of the machine. Pure computation: the time is part of each sample.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::HostSettings;

/// Two samples that are more than this many intervals apart have a gap between them: the machine
/// slept, or the agent could not run. The load during a gap is unknown, so a gap counts as zero.
pub(in crate::sources) const MAX_GAP_INTERVALS: u32 = 3;

/// CPU time of all logical CPUs together since the system started. The unit does not matter,
/// because only ratios are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources) struct CpuTimes {
    /// Time spent not idle.
    pub(super) busy: u64,
    /// Total time.
    pub(super) total: u64,
}

impl CpuTimes {
    /// Returns the busy fraction of the time since `earlier`; none if no time has passed.
    fn share_since(self, earlier: Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|total| *total > 0)?;
        Some((self.busy.saturating_sub(earlier.busy) as f64 / total as f64).min(1.0))
    }
}

/// One sample of the machine. Values that could not be read are missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) cpu: Option<CpuTimes>,
    pub(super) memory: Option<Space>,
}

/// A limited resource, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Space {
    /// The used part.
    pub used: u64,
    /// The whole.
    pub total: u64,
}

impl Space {
    /// Creates the value from the available part.
    pub(super) const fn of_available(available: u64, total: u64) -> Self {
        Self { used: total.saturating_sub(available), total }
    }

    /// Returns the free part.
    #[must_use]
    pub const fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// Returns the used fraction; none if the total is zero.
    #[must_use]
    pub fn utilization(self) -> Option<f64> {
        (self.total > 0).then(|| self.used as f64 / self.total as f64)
    }
}

/// The latest figures of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct HostFigures {
    /// Busy fraction of the CPU over the last sample interval; none before the second sample.
    pub cpu: Option<f64>,
    /// Physical memory; none if it cannot be read.
    pub memory: Option<Space>,
    /// Seconds since the agent started with the CPU at or above its threshold.
    pub cpu_seconds_above: f64,
    /// Seconds since the agent started with memory at or above its threshold.
    pub memory_seconds_above: f64,
}

/// Aggregates samples into figures.
#[derive(Debug)]
pub(super) struct HostAggregate {
    cpu_threshold: f64,
    memory_threshold: f64,
    max_step: Duration,
    last: Option<Sample>,
    /// CPU times when the mean was last taken.
    mean_start: Option<CpuTimes>,
    mean: Option<f64>,
    figures: HostFigures,
}

impl HostAggregate {
    pub(super) fn new(settings: &HostSettings) -> Self {
        Self {
            cpu_threshold: settings.cpu_threshold.get(),
            memory_threshold: settings.memory_threshold.get(),
            max_step: settings.sample_interval.get() * MAX_GAP_INTERVALS,
            last: None,
            mean_start: None,
            mean: None,
            figures: HostFigures::default(),
        }
    }

    /// Adds a sample. The step since the previous sample counts in full for what this sample shows:
    /// the CPU fraction was measured over exactly that step, and memory at its threshold now counts
    /// as being there for the whole step.
    pub(super) fn add(&mut self, sample: Sample) {
        let last = self.last.replace(sample);
        let step = last.map_or(Duration::ZERO, |last| sample.at.saturating_duration_since(last.at));
        let counted = if step > self.max_step { 0.0 } else { step.as_secs_f64() };

        let earlier = last.and_then(|last| last.cpu);
        self.figures.cpu = sample.cpu.zip(earlier).and_then(|(now, earlier)| now.share_since(earlier));
        self.figures.memory = sample.memory;
        if self.figures.cpu.is_some_and(|share| share >= self.cpu_threshold) {
            self.figures.cpu_seconds_above += counted;
        }
        if sample.memory.and_then(Space::utilization).is_some_and(|share| share >= self.memory_threshold) {
            self.figures.memory_seconds_above += counted;
        }
        if self.mean_start.is_none() {
            self.mean_start = sample.cpu;
        }
    }

    /// Returns the busy fraction of the CPU since the previous call, measured between the latest
    /// samples at the two calls. If there was no sample in between, returns the previous result
    /// again.
    pub(super) fn take_mean_cpu(&mut self) -> Option<f64> {
        let now = self.last.and_then(|last| last.cpu)?;
        if let Some(mean) = self.mean_start.and_then(|earlier| now.share_since(earlier)) {
            self.mean_start = Some(now);
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
