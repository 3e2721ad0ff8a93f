//! Scenario: `/proc` of this machine, and lines of other kernels.

use super::*;

/// Lines of a current kernel, of a virtual machine with stolen CPU time, of an old kernel, and
/// invalid lines.
#[test]
fn cpu_line_is_parsed_on_every_kernel() {
    let parse = |line| parse_cpu_line(line).map(|times| (times.busy, times.total));
    assert_eq!(parse("cpu  10 20 30 400 50 6 7 8 9 1\ncpu0 1 2 3 4\n"), Some((81, 531)));
    assert_eq!(parse("cpu  1 0 0 1 0 0 0 98 0 0\n"), Some((99, 100)));
    assert_eq!(parse("cpu  10 20 30 40\n"), Some((60, 100)));
    assert_eq!(parse("cpu0 1 2 3 4\n"), None);
    assert_eq!(parse("cpu  1 2 3\n"), None);
    assert_eq!(parse(""), None);
}

/// The system volume is mounted at the root and has a size.
#[test]
fn system_volume_is_mounted_at_root() {
    let (mount_point, space) = SystemVolume::new().read().unwrap();
    assert_eq!(mount_point, "/");
    assert!(space.total > 0 && space.used <= space.total);
}
