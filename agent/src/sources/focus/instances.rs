//! Tracks app instances by the windows and processes that exist. Pure computation: the time is
//! passed in.
//!
//! An instance is a window of the platform, or a process outside of the platform. Instances that
//! exist at the first update were started earlier, at an unknown time: they do not count as starts,
//! and their duration is not reported.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::ClockReading;
use super::timeline::AppName;

/// Identifies an instance by window or process, and app. A window that changes to another app
/// becomes another instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InstanceKey {
    /// The window or process.
    pub(super) owner: Owner,
    /// The app.
    pub(super) app: AppName,
}

/// The object whose end is the end of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A window of the platform.
    Window(u64),
    /// A process outside of the platform.
    Process(u32),
}

/// A change of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// An instance was started.
    Started(AppName),
    /// An instance has ended.
    Ended {
        /// Its window or process.
        owner: Owner,
        /// Its app.
        app: AppName,
        /// When it started and how long it existed; none if it is older than the agent.
        started: Option<(ClockReading, Duration)>,
    },
}

/// Compares the instances of successive updates.
#[derive(Debug, Default)]
pub(super) struct Instances {
    open: Option<BTreeMap<InstanceKey, Option<ClockReading>>>,
}

impl Instances {
    /// Takes all instances that exist now and returns the changes since the previous update.
    pub(super) fn update(&mut self, at: ClockReading, present: &[InstanceKey]) -> Vec<Change> {
        let Some(open) = &mut self.open else {
            self.open = Some(present.iter().map(|key| (key.clone(), None)).collect());
            return Vec::new();
        };
        let mut changes = Vec::new();
        open.retain(|key, started| {
            let is_present = present.contains(key);
            if !is_present {
                let started = started.map(|started| (started, at.elapsed.saturating_sub(started.elapsed)));
                changes.push(Change::Ended { owner: key.owner, app: key.app.clone(), started });
            }
            is_present
        });
        for key in present {
            if !open.contains_key(key) {
                open.insert(key.clone(), Some(at));
                changes.push(Change::Started(key.app.clone()));
            }
        }
        changes
    }

    /// Returns the number of instances of each app.
    pub(super) fn running(&self) -> BTreeMap<AppName, u64> {
        let mut running = BTreeMap::new();
        for key in self.keys() {
            *running.entry(key.app.clone()).or_default() += 1;
        }
        running
    }

    /// Returns the instances at the last update.
    pub(super) fn keys(&self) -> impl Iterator<Item = &InstanceKey> {
        self.open.iter().flat_map(BTreeMap::keys)
    }
}

#[cfg(test)]
mod tests;
