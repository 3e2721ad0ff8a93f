//! The last hour of this machine, minute by minute, for the window: kept in memory only, sent nowhere.
//!
//! Plain computation; the clock comes with each look.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sources::host::{HostFigures, Space};
use crate::sources::processes::ProcessFigures;

/// How many minutes are kept.
const MINUTES: usize = 60;
/// In milliseconds.
const MINUTE: i64 = 60_000;
/// How often to look: often enough that a minute's mean is one.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Minute {
    /// When it began.
    pub unix_ms: i64,
    /// Mean busy share of the CPU, 0 to 1.
    pub cpu: Option<f64>,
    /// Used share of memory, 0 to 1.
    pub memory: Option<f64>,
    /// Share of the machine's CPU that io.Connect used, 0 to 1.
    pub connect_cpu: Option<f64>,
    /// Physical memory of io.Connect, in bytes; none while it does not run.
    pub connect_memory: Option<u64>,
}

/// What a reader of the hour gets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hour {
    /// The oldest first; minutes in which the machine slept or the agent was paused are missing.
    pub minutes: Vec<Minute>,
    /// Physical memory of this machine, in bytes.
    pub memory_total: Option<u64>,
}

/// Adds up looks to minutes.
#[derive(Debug, Default)]
pub struct Recorder {
    minutes: VecDeque<Minute>,
    looks: Looks,
    memory_total: Option<u64>,
    /// CPU time of io.Connect at the last look, in seconds, and when that was.
    before: Option<(f64, i64)>,
}

/// The looks of the current minute.
#[derive(Debug, Default)]
struct Looks {
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

impl Recorder {
    /// A look at the figures. `cpus` are the machine's logical CPUs.
    pub fn look(&mut self, unix_ms: i64, host: &HostFigures, processes: &ProcessFigures, cpus: u64) {
        let begin = unix_ms - unix_ms.rem_euclid(MINUTE);
        if self.minutes.back().is_none_or(|minute| minute.unix_ms != begin) {
            // After the clock was set back, what lies ahead would never leave.
            self.minutes.retain(|minute| minute.unix_ms < begin);
            self.minutes.push_back(Minute { unix_ms: begin, ..Minute::default() });
            self.looks = Looks::default();
        }
        while self.minutes.len() > MINUTES
            || self.minutes.front().is_some_and(|minute| minute.unix_ms <= begin - MINUTES as i64 * MINUTE)
        {
            self.minutes.pop_front();
        }
        let cpu_seconds: f64 = processes.roles.values().map(|role| role.cpu_time.as_secs_f64()).sum();
        let step =
            self.before.replace((cpu_seconds, unix_ms)).map(|(seconds, at)| (cpu_seconds - seconds, unix_ms - at));
        let running = processes.platforms() > 0;
        let longest = 3 * i64::try_from(LOOK_INTERVAL.as_millis()).unwrap_or(MINUTE);
        let used = step
            .filter(|(_, passed)| (1..=longest).contains(passed))
            .map(|(seconds, passed)| (seconds.max(0.0) * 1000.0 / (passed as f64 * cpus.max(1) as f64)).min(1.0));
        self.looks.cpu.add(host.cpu);
        self.looks.connect_cpu.add(used.filter(|_| running));
        self.memory_total = host.memory.map(|memory| memory.total).or(self.memory_total);
        if let Some(minute) = self.minutes.back_mut() {
            minute.cpu = self.looks.cpu.get();
            minute.memory = host.memory.and_then(Space::utilization);
            minute.connect_cpu = self.looks.connect_cpu.get();
            minute.connect_memory = running.then(|| processes.total().1);
        }
    }

    /// The hour.
    #[must_use]
    pub fn hour(&self) -> Hour {
        Hour { minutes: self.minutes.iter().copied().collect(), memory_total: self.memory_total }
    }
}

#[cfg(test)]
mod tests;
