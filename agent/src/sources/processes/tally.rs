//! What lists of processes add up to: plain computation, the clock is passed in.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ioconnect::processes::{Member, Role};
use crate::sources::host::GAP_INTERVALS;

/// Ages are known to the second, so a process that started right after the last look may seem this much older.
const AGE_STEP: Duration = Duration::from_secs(1);

/// The latest figures of io.Connect's processes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// By role; none before the first look.
    pub roles: BTreeMap<Role, RoleFigures>,
}

impl ProcessFigures {
    /// How many platforms are running.
    #[must_use]
    pub fn platforms(&self) -> u64 {
        self.roles.get(&Role::Main).map_or(0, |main| main.count)
    }

    /// All processes together: how many, and their physical memory in bytes.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        let add = |(count, memory), of: &RoleFigures| (count + of.count, memory + of.memory);
        self.roles.values().fold((0, 0), add)
    }
}

/// The processes of one role, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleFigures {
    /// How many there are.
    pub count: u64,
    /// Physical memory, in bytes.
    pub memory: u64,
    /// CPU time since the agent started.
    pub cpu_time: Duration,
}

/// Takes lists, gives figures.
#[derive(Debug)]
pub(super) struct Tally {
    cpus: u64,
    longest_step: Duration,
    last: Option<Instant>,
    /// CPU time of each process at the last look. A process is its id and its start.
    processes: HashMap<(u32, u64), Duration>,
    figures: ProcessFigures,
    window: Option<Window>,
    utilization: BTreeMap<Role, f64>,
}

/// Where the time begins that the next utilization is about.
#[derive(Debug)]
struct Window {
    from: Instant,
    cpu_times: BTreeMap<Role, Duration>,
}

impl Tally {
    pub(super) fn new(interval: Duration, cpus: u64) -> Self {
        Self {
            cpus: cpus.max(1),
            longest_step: interval * GAP_INTERVALS,
            last: None,
            processes: HashMap::new(),
            figures: ProcessFigures::default(),
            window: None,
            utilization: BTreeMap::new(),
        }
    }

    /// A further look at the processes of io.Connect.
    ///
    /// What a process has used before the first look is not counted; nor is the past of one that is seen for the first
    /// time although it is older than the last look.
    pub(super) fn add(&mut self, at: Instant, members: &[Member<'_>]) {
        let step = self.last.map(|last| at.saturating_duration_since(last));
        for role in self.figures.roles.values_mut() {
            (role.count, role.memory) = (0, 0);
        }
        self.figures.roles.entry(Role::Main).or_default();

        let mut processes = HashMap::with_capacity(members.len());
        for Member { process, role } in members {
            let key = (process.listed.pid, process.started);
            let before = match (self.processes.get(&key), step) {
                (Some(before), _) => *before,
                (None, Some(step)) if process.age <= step + AGE_STEP => Duration::ZERO,
                (None, _) => process.cpu_time,
            };
            let figures = self.figures.roles.entry(*role).or_default();
            figures.count += 1;
            figures.memory = figures.memory.saturating_add(process.memory);
            figures.cpu_time = figures.cpu_time.saturating_add(process.cpu_time.saturating_sub(before));
            processes.insert(key, process.cpu_time.max(before));
        }
        self.processes = processes;
        self.last = Some(at);
        if self.window.is_none() || step.is_some_and(|step| step > self.longest_step) {
            self.begin_window(at);
        }
    }

    /// For each role, the share of all CPUs' time that it used between the latest look and the one that was the latest at
    /// the call before. Without a look in between it is the same as then.
    pub(super) fn take_utilization(&mut self) -> &BTreeMap<Role, f64> {
        if let (Some(last), Some(window)) = (self.last, &self.window) {
            let available = last.saturating_duration_since(window.from).as_secs_f64() * self.cpus as f64;
            if available > 0.0 {
                let share = |role: Role, figures: &RoleFigures| {
                    let before = window.cpu_times.get(&role).copied().unwrap_or_default();
                    (figures.cpu_time.saturating_sub(before).as_secs_f64() / available).min(1.0)
                };
                self.utilization = self.figures.roles.iter().map(|(role, f)| (*role, share(*role, f))).collect();
                self.begin_window(last);
            }
        }
        &self.utilization
    }

    fn begin_window(&mut self, from: Instant) {
        let cpu_times = self.figures.roles.iter().map(|(role, figures)| (*role, figures.cpu_time)).collect();
        self.window = Some(Window { from, cpu_times });
    }

    pub(super) const fn figures(&self) -> &ProcessFigures {
        &self.figures
    }
}

#[cfg(test)]
mod tests;
