use super::*;

/// Codes that the system gives after a fault are crashes; what programs give, or who ended them by hand, are not.
#[test]
fn codes() {
    assert!([0xC000_0005, 0xC000_0409, 0xC000_00FD, 0xE043_4352].into_iter().all(is_crash));
    assert!(![0, 1, 2, 0x103, 0x8000_0003, 0xC000_013A, 0xC000_026B].into_iter().any(is_crash));
}

/// Of a process that nobody has watched nothing is known.
#[test]
fn unknown() {
    assert!(!Exits::default().crashed(u32::MAX));
}
