//! Keeps the developer's shell out of the tests.

use std::collections::HashSet;
use std::ffi::OsString;
use std::process::Command;

/// Variables that programs under test inherit: where to find programs, libraries and data, who the
/// user is, the language, the time zone, and what coverage tools set. Everything else is removed,
/// above all `OTEL_*`, proxies, displays and buses.
const INHERITED: [&str; 14] = [
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LLVM_PROFILE_FILE",
    "LOGNAME",
    "PATH",
    "RUST_BACKTRACE",
    "SHELL",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_DATA_DIRS",
];

/// Removes inherited variables from a command, except those that every program needs and those that
/// the command sets itself.
pub fn isolate(command: &mut Command) {
    // Programs for Windows do not start without some of the system's variables.
    if cfg!(windows) {
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")).for_each(|(name, _)| {
            command.env_remove(name);
        });
        return;
    }
    let own: HashSet<OsString> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    for (name, _) in std::env::vars_os() {
        let is_kept = own.contains(&name) || INHERITED.iter().any(|kept| name == *kept);
        if !is_kept {
            command.env_remove(name);
        }
    }
}
