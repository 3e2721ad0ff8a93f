//! Instances of apps, from the windows that are there: plain computation, the clock is passed in.
//!
//! An instance is a window of the platform, or a process outside of it. What was there at the first look has begun
//! earlier, nobody knows when: it is no start, and its length is not told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::moment::Moment;
use super::timeline::AppName;

/// What makes an instance: the window or process, and the app. A window that becomes another app is another instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The window or process.
    pub(super) owner: Owner,
    /// The app.
    pub(super) app: AppName,
}

/// Whose end is that of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A window of the platform.
    Window(u64),
    /// A process outside of it.
    Process(u32),
}

/// What has become of instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// One was started.
    Started(AppName),
    /// One has ended.
    Ended {
        /// Whose.
        owner: Owner,
        /// Of which app.
        app: AppName,
        /// When it began, and for how long it was there.
        begun: Option<(Moment, Duration)>,
    },
}

/// Takes looks, gives changes.
#[derive(Debug, Default)]
pub(super) struct Instances {
    open: Option<BTreeMap<Key, Option<Moment>>>,
}

impl Instances {
    /// All instances that are there now.
    pub(super) fn see(&mut self, at: Moment, there: &[Key]) -> Vec<Change> {
        let Some(open) = &mut self.open else {
            self.open = Some(there.iter().map(|key| (key.clone(), None)).collect());
            return Vec::new();
        };
        let mut changes = Vec::new();
        open.retain(|key, begun| {
            let is_there = there.contains(key);
            if !is_there {
                let begun = begun.map(|begun| (begun, at.elapsed.saturating_sub(begun.elapsed)));
                changes.push(Change::Ended { owner: key.owner, app: key.app.clone(), begun });
            }
            is_there
        });
        for key in there {
            if !open.contains_key(key) {
                open.insert(key.clone(), Some(at));
                changes.push(Change::Started(key.app.clone()));
            }
        }
        changes
    }

    /// How many of each app there are.
    pub(super) fn running(&self) -> BTreeMap<AppName, u64> {
        let mut running = BTreeMap::new();
        for key in self.keys() {
            *running.entry(key.app.clone()).or_default() += 1;
        }
        running
    }

    /// The instances that were there at the last look.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.open.iter().flat_map(BTreeMap::keys)
    }
}

#[cfg(test)]
mod tests;
