//! Values of the machine that are cheap enough to read every few seconds.

use sysinfo::{MemoryRefreshKind, System};

use super::aggregate::Space;

#[cfg(not(windows))]
mod procfs;
#[cfg(windows)]
mod win32;

#[cfg(not(windows))]
pub(crate) use self::procfs::logical_cpus;
#[cfg(not(windows))]
pub(in crate::sources) use self::procfs::{SystemVolume, cpu_times};
#[cfg(windows)]
pub(crate) use self::win32::logical_cpus;
#[cfg(windows)]
pub(in crate::sources) use self::win32::{SystemVolume, cpu_times};

/// Reads physical memory and paging space.
#[derive(Debug)]
pub(super) struct Memory(Option<System>);

impl Memory {
    pub(super) fn new() -> Self {
        Self(System::new().ok())
    }

    /// Returns physical memory.
    pub(super) fn physical(&mut self) -> Option<Space> {
        let system = self.0.as_mut()?;
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let space = Space::of_available(system.available_memory(), system.total_memory());
        (space.total > 0).then_some(space)
    }

    /// Returns paging space; none if there is none.
    pub(super) fn paging(&mut self) -> Option<Space> {
        let system = self.0.as_mut()?;
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_swap());
        let space = Space { used: system.used_swap().min(system.total_swap()), total: system.total_swap() };
        (space.total > 0).then_some(space)
    }
}
