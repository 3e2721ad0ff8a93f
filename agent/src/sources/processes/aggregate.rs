//! Aggregates process lists by role. Pure computation: the time is passed in.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ioconnect::processes::{Member, Role};
use crate::sources::host::MAX_GAP_INTERVALS;

/// Process ages have a resolution of one second, so a process that started right after the last
/// sample may appear this much older.
const AGE_RESOLUTION: Duration = Duration::from_secs(1);

/// The latest figures of the io.Connect processes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// Figures by role; empty before the first sample.
    pub roles: BTreeMap<Role, RoleFigures>,
}

impl ProcessFigures {
    /// Returns the number of running platforms.
    #[must_use]
    pub fn platforms(&self) -> u64 {
        self.roles.get(&Role::Main).map_or(0, |main| main.count)
    }

    /// Returns the number of all processes and their physical memory in bytes.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        let add = |(count, memory), of: &RoleFigures| (count + of.count, memory + of.memory);
        self.roles.values().fold((0, 0), add)
    }
}

/// Totals of the processes of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleFigures {
    /// Number of processes.
    pub count: u64,
    /// Physical memory, in bytes.
    pub memory: u64,
    /// CPU time used since the agent started.
    pub cpu_time: Duration,
}

/// Aggregates process lists into figures.
#[derive(Debug)]
pub(super) struct ProcessAggregate {
    cpus: u64,
    max_step: Duration,
    last: Option<Instant>,
    /// CPU time of each process at the last sample. The key is the process id and the start time,
    /// because ids are reused.
    last_cpu_times: HashMap<(u32, u64), Duration>,
    figures: ProcessFigures,
    window: Option<Window>,
    utilization: BTreeMap<Role, f64>,
}

/// Start of the period that the next utilization covers.
#[derive(Debug)]
struct Window {
    from: Instant,
    cpu_times: BTreeMap<Role, Duration>,
}

impl ProcessAggregate {
    pub(super) fn new(interval: Duration, cpus: u64) -> Self {
        Self {
            cpus: cpus.max(1),
            max_step: interval * MAX_GAP_INTERVALS,
            last: None,
            last_cpu_times: HashMap::new(),
            figures: ProcessFigures::default(),
            window: None,
            utilization: BTreeMap::new(),
        }
    }

    /// Adds a sample of the io.Connect processes.
    ///
    /// CPU time that a process used before the first sample is not counted. The same holds for a
    /// process that is seen for the first time but is older than the last sample.
    pub(super) fn add(&mut self, at: Instant, members: &[Member<'_>]) {
        let step = self.last.map(|last| at.saturating_duration_since(last));
        for role in self.figures.roles.values_mut() {
            (role.count, role.memory) = (0, 0);
        }
        self.figures.roles.entry(Role::Main).or_default();

        let mut cpu_times = HashMap::with_capacity(members.len());
        for Member { process, role } in members {
            let key = (process.entry.pid, process.started);
            let before = match (self.last_cpu_times.get(&key), step) {
                (Some(before), _) => *before,
                (None, Some(step)) if process.age <= step + AGE_RESOLUTION => Duration::ZERO,
                (None, _) => process.cpu_time,
            };
            let figures = self.figures.roles.entry(*role).or_default();
            figures.count += 1;
            figures.memory = figures.memory.saturating_add(process.memory);
            figures.cpu_time = figures.cpu_time.saturating_add(process.cpu_time.saturating_sub(before));
            cpu_times.insert(key, process.cpu_time.max(before));
        }
        self.last_cpu_times = cpu_times;
        self.last = Some(at);
        if self.window.is_none() || step.is_some_and(|step| step > self.max_step) {
            self.start_window(at);
        }
    }

    /// Returns for each role the fraction of the time of all CPUs that it used since the previous
    /// call, measured between the latest samples at the two calls. If there was no sample in
    /// between, returns the previous result again.
    pub(super) fn take_utilization(&mut self) -> &BTreeMap<Role, f64> {
        if let (Some(last), Some(window)) = (self.last, &self.window) {
            let available = last.saturating_duration_since(window.from).as_secs_f64() * self.cpus as f64;
            if available > 0.0 {
                let share = |role: Role, figures: &RoleFigures| {
                    let before = window.cpu_times.get(&role).copied().unwrap_or_default();
                    (figures.cpu_time.saturating_sub(before).as_secs_f64() / available).min(1.0)
                };
                self.utilization = self.figures.roles.iter().map(|(role, f)| (*role, share(*role, f))).collect();
                self.start_window(last);
            }
        }
        &self.utilization
    }

    fn start_window(&mut self, from: Instant) {
        let cpu_times = self.figures.roles.iter().map(|(role, figures)| (*role, figures.cpu_time)).collect();
        self.window = Some(Window { from, cpu_times });
    }

    pub(super) const fn figures(&self) -> &ProcessFigures {
        &self.figures
    }
}

#[cfg(test)]
mod tests;
