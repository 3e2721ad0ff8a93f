//! Through Linux's /proc.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sysinfo::{Disk, DiskRefreshKind, Disks};

use super::super::tally::{CpuTimes, Space};

const PROC_STAT: &str = "/proc/stat";

/// Of all CPUs together.
pub(in crate::sources) fn cpu_times() -> Option<CpuTimes> {
    // The first line is what is wanted; the file can have megabytes.
    let mut buffer = [0; 512];
    let read = File::open(PROC_STAT).and_then(|mut file| file.read(&mut buffer)).ok()?;
    parse_cpu_line(std::str::from_utf8(buffer.get(..read)?).ok()?)
}

/// Number of logical CPUs.
pub(crate) fn logical_cpus() -> Option<u64> {
    let stat = fs::read_to_string(PROC_STAT).ok()?;
    let count = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
    Some(count as u64).filter(|count| *count > 0)
}

/// Reads the space on the system's volume.
#[derive(Debug)]
pub(in crate::sources) struct SystemVolume(Option<Disk>);

impl SystemVolume {
    /// Looks for it once: the list touches every mount, of which any may be slow.
    pub(in crate::sources) fn new() -> Self {
        let list = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing()).map(Vec::from);
        Self(list.unwrap_or_default().into_iter().find(|disk| disk.mount_point() == Path::new("/")))
    }

    /// Its name and space.
    pub(in crate::sources) fn read(&mut self) -> Option<(String, Space)> {
        let disk = self.0.as_mut()?;
        disk.refresh_specifics(DiskRefreshKind::nothing().with_storage());
        let space = Space::of_available(disk.available_space(), disk.total_space());
        (space.total > 0).then(|| ("/".to_owned(), space))
    }
}

/// The line `cpu  user nice system idle iowait irq softirq steal guest guest_nice` of /proc/stat (`proc_stat(5)`). Waiting
/// for a disk is idle; time taken by other virtual machines is not. Guests' time is in `user` and `nice` already.
fn parse_cpu_line(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|number| number.parse().ok()).collect();
    let total = times.iter().sum();
    let idle = times.get(3)? + times.get(4).unwrap_or(&0);
    Some(CpuTimes { busy: total - idle, total })
}

#[cfg(test)]
mod tests;
