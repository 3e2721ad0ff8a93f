//! Scenario: the process list of this machine, and unusual names.

use super::*;

/// Any program may give itself a name with spaces and parentheses.
#[cfg(not(windows))]
#[test]
fn stat_line_with_any_name_is_parsed() {
    let parse = |line| parse_stat(line).map(|listed| (listed.pid, listed.parent, listed.name));
    assert_eq!(parse("42 (io-connect-desk) S 7 42 42 0 -1"), Some((42, 7, "io-connect-desk".to_owned())));
    assert_eq!(parse("42 (a) R 9 (b) c) S 1 42 42"), Some((42, 1, "a) R 9 (b) c".to_owned())));
    for broken in ["", "42", "42 (x", "42 (x) S", "x (y) S 1 2"] {
        assert_eq!(parse_stat(broken), None, "{broken}");
    }
}

/// This process is in the list, and its details include program, arguments and memory. A process
/// that does not exist is left out.
#[test]
fn own_process_has_details() {
    let own = std::process::id();
    assert!(all().iter().any(|listed| listed.pid == own && listed.parent > 0 && !listed.name.is_empty()));
    let [process] = inspect(&[own, u32::MAX / 2]).try_into().unwrap();
    assert_eq!(process.entry.pid, own);
    assert_eq!(process.exe, std::env::current_exe().ok());
    assert_eq!(process.command_line.len(), std::env::args_os().count());
    assert!(process.started > 0 && process.memory > 0);
    assert_eq!(inspect(&[]), []);
}
