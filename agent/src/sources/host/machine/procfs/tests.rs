use super::*;

/// Lines of today's kernel, of a virtual machine whose CPU was stolen, of an old kernel, and no such lines.
#[test]
fn cpu_lines() {
    let parse = |line| parse_cpu_line(line).map(|times| (times.busy, times.total));
    assert_eq!(parse("cpu  10 20 30 400 50 6 7 8 9 1\ncpu0 1 2 3 4\n"), Some((81, 531)));
    assert_eq!(parse("cpu  1 0 0 1 0 0 0 98 0 0\n"), Some((99, 100)));
    assert_eq!(parse("cpu  10 20 30 40\n"), Some((60, 100)));
    assert_eq!(parse("cpu0 1 2 3 4\n"), None);
    assert_eq!(parse("cpu  1 2 3\n"), None);
    assert_eq!(parse(""), None);
}

/// The system's volume is the one that is mounted at the root, and has some size.
#[test]
fn the_volume_of_this_machine() {
    let (mount_point, space) = SystemVolume::new().read().unwrap();
    assert_eq!(mount_point, "/");
    assert!(space.total > 0 && space.used <= space.total);
}
