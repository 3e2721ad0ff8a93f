//! The reserve of the disk that the queue does not touch.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often free space is read: the agent itself writes far less in this time than any reserve that is worth setting.
const LOOK: Duration = Duration::from_secs(10);
/// The reserve is at most this part of the volume, so that a small volume can hold a queue at all.
const VOLUME_PART: u64 = 10;

/// Room on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that this user may still write.
    pub(super) available: u64,
    /// Bytes of the volume.
    pub(super) total: u64,
}

/// Reads the room on a volume.
pub(super) type Probe = Box<dyn FnMut() -> io::Result<Room> + Send>;

/// Watches the free space of a volume.
pub(super) struct Space {
    probe: Probe,
    reserve: u64,
    looked: Option<Instant>,
    problem: Option<String>,
}

impl Space {
    pub(super) fn new(probe: Probe, reserve: u64) -> Self {
        Self { probe, reserve, looked: None, problem: None }
    }

    /// Whether less than the reserve is free: then the queue must not grow. Where the system does not tell, a write
    /// will.
    pub(super) fn is_short(&mut self, now: Instant) -> bool {
        if self.reserve > 0 && self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK) {
            self.looked = Some(now);
            let room = (self.probe)();
            let reserve = |room: &Room| self.reserve.min(room.total / VOLUME_PART);
            let short = room.ok().filter(|room| room.available < reserve(room));
            let problem = short.map(|room| {
                format!(
                    "Only {} are free on the disk of the queue, less than the reserve of {} (`queue.min_free_disk`): the queue does not grow; log files wait.",
                    crate::units::bytes(room.available),
                    crate::units::bytes(reserve(&room))
                )
            });
            if problem.is_some() != self.problem.is_some() {
                if let Some(problem) = &problem {
                    tracing::warn!("{problem}");
                } else {
                    tracing::info!("there is room on the disk of the queue again");
                }
            }
            self.problem = problem;
        }
        self.problem.is_some()
    }

    /// What is to be said of it.
    pub(super) fn problem(&self) -> Option<&String> {
        self.problem.as_ref()
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("reserve", &self.reserve).field("problem", &self.problem).finish_non_exhaustive()
    }
}

/// Reads the room on the volume of a file's folder.
pub(super) fn of_volume(file: &Path) -> Probe {
    let folder = file.parent().unwrap_or(file).to_owned();
    Box::new(move || {
        let stats = fs4::statvfs(&folder)?;
        Ok(Room { available: stats.available_space(), total: stats.total_space() })
    })
}
