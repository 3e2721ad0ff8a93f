//! Watches free disk space, of which the queue leaves a reserve (`queue.min_free_disk`).

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::units::bytes;

/// How often free space is read. In this time the agent writes far less than any useful reserve.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// The reserve is at most the volume's size divided by this, so that a small volume can hold a
/// queue at all.
const MAX_RESERVE_DIVISOR: u64 = 10;

/// Free space on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FreeSpace {
    /// Bytes that this user may still write.
    pub(super) available: u64,
    /// Size of the volume.
    pub(super) total: u64,
}

/// Reads the free space on a volume.
pub(super) type Probe = Box<dyn FnMut() -> io::Result<FreeSpace> + Send>;

/// Compares the free space of a volume with the reserve.
pub(super) struct DiskSpace {
    probe: Probe,
    reserve: u64,
    last_probe: Option<Instant>,
    problem: Option<String>,
}

impl DiskSpace {
    pub(super) fn new(probe: Probe, reserve: u64) -> Self {
        Self { probe, reserve, last_probe: None, problem: None }
    }

    /// Returns whether less than the reserve is free, so that the queue must not grow.
    ///
    /// If the system does not report free space, it counts as sufficient; a write then fails if it
    /// is not.
    pub(super) fn is_low(&mut self, now: Instant) -> bool {
        let is_due = self.last_probe.is_none_or(|last| now.duration_since(last) >= PROBE_INTERVAL);
        if self.reserve > 0 && is_due {
            self.last_probe = Some(now);
            let space = (self.probe)().ok();
            self.update(space);
        }
        self.problem.is_some()
    }

    fn update(&mut self, space: Option<FreeSpace>) {
        let reserve = |space: &FreeSpace| self.reserve.min(space.total / MAX_RESERVE_DIVISOR);
        let problem = space.filter(|space| space.available < reserve(space)).map(|space| {
            format!(
                "Only {} are free on the disk of the queue, less than the reserve of {} (`queue.min_free_disk`). The queue does not grow, and log files wait.",
                bytes(space.available),
                bytes(reserve(&space))
            )
        });
        match (&self.problem, &problem) {
            (None, Some(problem)) => tracing::warn!("{problem}"),
            (Some(_), None) => tracing::info!("the disk of the queue has enough free space again"),
            _ => {}
        }
        self.problem = problem;
    }

    /// Returns a message if less than the reserve is free.
    pub(super) fn problem(&self) -> Option<&String> {
        self.problem.as_ref()
    }
}

impl fmt::Debug for DiskSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskSpace")
            .field("reserve", &self.reserve)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

/// Returns a probe of the volume that holds the folder of a file.
pub(super) fn volume_probe(file: &Path) -> Probe {
    let folder = file.parent().unwrap_or(file).to_owned();
    Box::new(move || {
        let stats = fs4::statvfs(&folder)?;
        Ok(FreeSpace { available: stats.available_space(), total: stats.total_space() })
    })
}
