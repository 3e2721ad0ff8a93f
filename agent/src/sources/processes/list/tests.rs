use super::*;

/// Names with spaces and parentheses, as any program may give itself.
#[cfg(not(windows))]
#[test]
fn lines_of_stat() {
    let parse = |line| parse_stat(line).map(|listed| (listed.pid, listed.parent, listed.name));
    assert_eq!(parse("42 (io-connect-desk) S 7 42 42 0 -1"), Some((42, 7, "io-connect-desk".to_owned())));
    assert_eq!(parse("42 (a) R 9 (b) c) S 1 42 42"), Some((42, 1, "a) R 9 (b) c".to_owned())));
    for broken in ["", "42", "42 (x", "42 (x) S", "x (y) S 1 2"] {
        assert_eq!(parse_stat(broken), None, "{broken}");
    }
}

/// This process is in the list, and a closer look knows its program, its arguments and its memory. A process that does
/// not exist is left out.
#[test]
fn this_process() {
    let own = std::process::id();
    assert!(all().iter().any(|listed| listed.pid == own && listed.parent > 0 && !listed.name.is_empty()));
    let [process] = look_at(&[own, u32::MAX / 2]).try_into().unwrap();
    assert_eq!(process.listed.pid, own);
    assert_eq!(process.exe, std::env::current_exe().ok());
    assert_eq!(process.command_line.len(), std::env::args_os().count());
    assert!(process.started > 0 && process.memory > 0);
    assert_eq!(look_at(&[]), []);
}
