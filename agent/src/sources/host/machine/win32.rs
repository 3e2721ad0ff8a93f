//! Windows: reads the Win32 API.

use windows::Win32::Foundation::FILETIME;
use windows::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows::Win32::System::Threading::{ALL_PROCESSOR_GROUPS, GetActiveProcessorCount, GetSystemTimes};
use windows::core::HSTRING;

use super::super::aggregate::{CpuTimes, Space};

/// Returns the CPU times of all CPUs together. sysinfo is not used here because it reads
/// performance counters, which are slow to open and may be broken or missing.
#[allow(unsafe_code)]
pub(in crate::sources) fn cpu_times() -> Option<CpuTimes> {
    let [mut idle, mut kernel, mut user] = [FILETIME::default(); 3];
    // SAFETY: the three pointers are to live FILETIMEs of this frame, which the call writes and
    // does not keep.
    unsafe { GetSystemTimes(Some(&raw mut idle), Some(&raw mut kernel), Some(&raw mut user)) }.ok()?;
    let ticks = |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    // Kernel time includes idle time (documentation of GetSystemTimes).
    let total = ticks(kernel).saturating_add(ticks(user));
    Some(CpuTimes { busy: total.saturating_sub(ticks(idle)), total })
}

/// Returns the number of logical CPUs.
#[allow(unsafe_code)]
pub(crate) fn logical_cpus() -> Option<u64> {
    // SAFETY: takes a number and returns a number.
    let count = unsafe { GetActiveProcessorCount(ALL_PROCESSOR_GROUPS) };
    Some(u64::from(count)).filter(|count| *count > 0)
}

/// Reads the space on the system volume.
#[derive(Debug)]
pub(in crate::sources) struct SystemVolume(Option<String>);

impl SystemVolume {
    pub(in crate::sources) fn new() -> Self {
        Self(std::env::var("SystemDrive").ok())
    }

    /// Returns the drive and the space.
    #[allow(unsafe_code)]
    pub(in crate::sources) fn read(&mut self) -> Option<(String, Space)> {
        let drive = self.0.as_ref()?;
        let root = HSTRING::from(format!("{drive}\\"));
        let (mut available, mut total) = (0, 0);
        // SAFETY: the root is a zero-terminated string that outlives the call; the pointers are to
        // live numbers of this frame, which the call writes and does not keep.
        unsafe { GetDiskFreeSpaceExW(&root, Some(&raw mut available), Some(&raw mut total), None) }.ok()?;
        Some((drive.clone(), Space::of_available(available, total)))
    }
}
