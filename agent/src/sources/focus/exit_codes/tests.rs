//! Scenario: native apps end with different exit codes.

use super::*;

/// Codes that the system sets after a fault are crashes. Codes set by programs, or by a manual
/// termination, are not.
#[test]
fn system_error_codes_are_crashes() {
    assert!([0xC000_0005, 0xC000_0409, 0xC000_00FD, 0xE043_4352].into_iter().all(is_crash));
    assert!(![0, 1, 2, 0x103, 0x8000_0003, 0xC000_013A, 0xC000_026B].into_iter().any(is_crash));
}

/// Nothing is known about a process that was not watched.
#[test]
fn unwatched_process_has_no_crash() {
    assert!(!ExitCodes::default().crashed(u32::MAX));
}
