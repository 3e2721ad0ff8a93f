//! The load of the last hour, minute by minute, for the window. It is kept in memory only and never
//! exported.
//!
//! Pure computation: the clock is passed in with each sample.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sources::host::{HostFigures, Space};
use crate::sources::processes::ProcessFigures;

/// Number of minutes that are kept.
const MINUTES: usize = 60;
/// Milliseconds in a minute.
const MINUTE: i64 = 60_000;
/// Interval between samples: short enough for a meaningful mean of each minute.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);

/// The load of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Minute {
    /// Start of the minute.
    pub unix_ms: i64,
    /// Mean busy share of the CPU, 0 to 1.
    pub cpu: Option<f64>,
    /// Used share of memory, 0 to 1.
    pub memory: Option<f64>,
    /// Share of the machine's CPU that io.Connect used, 0 to 1.
    pub connect_cpu: Option<f64>,
    /// Physical memory of io.Connect in bytes; none while it does not run.
    pub connect_memory: Option<u64>,
}

/// The last hour, as the window reads it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LastHour {
    /// Oldest first. Minutes in which the machine slept or the agent was paused are missing.
    pub minutes: Vec<Minute>,
    /// Physical memory of this machine, in bytes.
    pub memory_total: Option<u64>,
}

/// Aggregates samples into minutes.
#[derive(Debug, Default)]
pub struct LoadRecorder {
    minutes: VecDeque<Minute>,
    current: Samples,
    memory_total: Option<u64>,
    /// CPU time of io.Connect at the last sample, in seconds, and when that was.
    previous: Option<(f64, i64)>,
}

/// Samples of the current minute.
#[derive(Debug, Default)]
struct Samples {
    cpu: Mean,
    connect_cpu: Mean,
}

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

impl LoadRecorder {
    /// Adds a sample. `cpus` is the number of logical CPUs of the machine.
    pub fn add(&mut self, unix_ms: i64, host: &HostFigures, processes: &ProcessFigures, cpus: u64) {
        let start = unix_ms - unix_ms.rem_euclid(MINUTE);
        if self.minutes.back().is_none_or(|minute| minute.unix_ms != start) {
            // After the clock is set back, minutes that lie ahead would never be removed.
            self.minutes.retain(|minute| minute.unix_ms < start);
            self.minutes.push_back(Minute { unix_ms: start, ..Minute::default() });
            self.current = Samples::default();
        }
        while self.minutes.len() > MINUTES
            || self.minutes.front().is_some_and(|minute| minute.unix_ms <= start - MINUTES as i64 * MINUTE)
        {
            self.minutes.pop_front();
        }
        let cpu_seconds: f64 = processes.roles.values().map(|role| role.cpu_time.as_secs_f64()).sum();
        let step =
            self.previous.replace((cpu_seconds, unix_ms)).map(|(seconds, at)| (cpu_seconds - seconds, unix_ms - at));
        let running = processes.platforms() > 0;
        let max_gap = 3 * i64::try_from(SAMPLE_INTERVAL.as_millis()).unwrap_or(MINUTE);
        let used = step
            .filter(|(_, passed)| (1..=max_gap).contains(passed))
            .map(|(seconds, passed)| (seconds.max(0.0) * 1000.0 / (passed as f64 * cpus.max(1) as f64)).min(1.0));
        self.current.cpu.add(host.cpu);
        self.current.connect_cpu.add(used.filter(|_| running));
        self.memory_total = host.memory.map(|memory| memory.total).or(self.memory_total);
        if let Some(minute) = self.minutes.back_mut() {
            minute.cpu = self.current.cpu.get();
            minute.memory = host.memory.and_then(Space::utilization);
            minute.connect_cpu = self.current.connect_cpu.get();
            minute.connect_memory = running.then(|| processes.total().1);
        }
    }

    /// Returns the last hour.
    #[must_use]
    pub fn last_hour(&self) -> LastHour {
        LastHour { minutes: self.minutes.iter().copied().collect(), memory_total: self.memory_total }
    }
}

#[cfg(test)]
mod tests;
