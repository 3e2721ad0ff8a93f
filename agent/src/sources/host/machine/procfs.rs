//! Linux: reads `/proc`.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sysinfo::{Disk, DiskRefreshKind, Disks};

use super::super::aggregate::{CpuTimes, Space};

const PROC_STAT_PATH: &str = "/proc/stat";

/// Returns the CPU times of all CPUs together.
pub(in crate::sources) fn cpu_times() -> Option<CpuTimes> {
    // Only the first line is needed; the whole file can be megabytes long.
    let mut buffer = [0; 512];
    let read = File::open(PROC_STAT_PATH).and_then(|mut file| file.read(&mut buffer)).ok()?;
    parse_cpu_line(std::str::from_utf8(buffer.get(..read)?).ok()?)
}

/// Returns the number of logical CPUs.
pub(crate) fn logical_cpus() -> Option<u64> {
    let stat = fs::read_to_string(PROC_STAT_PATH).ok()?;
    let count = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
    Some(count as u64).filter(|count| *count > 0)
}

/// Reads the space on the system volume.
#[derive(Debug)]
pub(in crate::sources) struct SystemVolume(Option<Disk>);

impl SystemVolume {
    /// Finds the volume once: listing the volumes touches every mount, and any of them may be slow.
    pub(in crate::sources) fn new() -> Self {
        let list = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing()).map(Vec::from);
        Self(list.unwrap_or_default().into_iter().find(|disk| disk.mount_point() == Path::new("/")))
    }

    /// Returns the mount point and the space.
    pub(in crate::sources) fn read(&mut self) -> Option<(String, Space)> {
        let disk = self.0.as_mut()?;
        disk.refresh_specifics(DiskRefreshKind::nothing().with_storage());
        let space = Space::of_available(disk.available_space(), disk.total_space());
        (space.total > 0).then(|| ("/".to_owned(), space))
    }
}

/// Parses the line `cpu  user nice system idle iowait irq softirq steal guest guest_nice` of
/// /proc/stat (`proc_stat(5)`). Time spent waiting for a disk counts as idle; time taken by other
/// virtual machines does not. Guest time is already included in `user` and `nice`.
fn parse_cpu_line(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|number| number.parse().ok()).collect();
    let total = times.iter().sum();
    let idle = times.get(3)? + times.get(4).unwrap_or(&0);
    Some(CpuTimes { busy: total - idle, total })
}

#[cfg(test)]
mod tests;
