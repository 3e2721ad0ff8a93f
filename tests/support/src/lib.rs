//! Support for end-to-end tests: environments for the built programs, a receiver in this process,
//! real receivers, desktops and Wine beside it.
//!
//! Everything here fails by panicking with a sentence, as tests do.

pub mod decoder;
#[cfg(target_os = "linux")]
pub mod desktop;
pub mod isolation;
#[cfg(target_os = "linux")]
pub mod logind;
#[cfg(target_os = "linux")]
pub mod network_manager;
pub mod peers;
#[cfg(unix)]
pub mod platform;
pub mod receiver;
pub mod test_env;
#[cfg(target_os = "linux")]
pub mod user;
#[cfg(target_os = "linux")]
pub mod wine;

use std::fs::File;
use std::io::{Read, Seek};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Maximum wait for a condition.
pub const LIMIT: Duration = Duration::from_mins(1);
/// Interval between two checks of a condition.
const CHECK_INTERVAL: Duration = Duration::from_millis(15);

/// Waits until `check` returns something; panics with `what` after [`LIMIT`].
pub fn wait_for<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    wait(check).unwrap_or_else(|| panic!("timed out after {} s waiting for {what}", LIMIT.as_secs()))
}

/// Waits until `check` returns something; returns none after [`LIMIT`].
fn wait<T>(mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = check();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        std::thread::sleep(CHECK_INTERVAL);
    }
}

/// Runs a command until it exits, and returns its output.
///
/// # Panics
/// When it does not exit within [`LIMIT`]. It is killed then, and its output so far is in the
/// message.
#[must_use]
pub fn output(command: &mut Command) -> Output {
    // Files and not pipes: Wine and installers leave programs running that would hold pipes open.
    let files = [0, 1].map(|_| tempfile::tempfile().expect("a file"));
    let [out, err] = files.each_ref().map(|file| file.try_clone().expect("a handle"));
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("the program starts");
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        match child.try_wait().expect("its state") {
            None if Instant::now() < deadline => std::thread::sleep(CHECK_INTERVAL),
            status => break status,
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let [stdout, stderr] = files.map(|file| contents(file).expect("its output"));
    let Some(status) = status else {
        let said = [&stdout[..], &stderr[..]].concat();
        panic!("{command:?} did not exit in {} s; its output: {}", LIMIT.as_secs(), String::from_utf8_lossy(&said));
    };
    Output { status, stdout, stderr }
}

fn contents(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns a TCP port of 127.0.0.1 that is free at the moment.
///
/// A program that is started with it binds it later. Another program that asks the system for a
/// free port could get the same one in between; that is unlikely, because the system hands out
/// ports in random order.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Returns the program that an environment variable names. Returns none, and prints that, when
/// `INSIGHTS_SKIP_RECEIVERS` is set.
///
/// # Panics
/// When the variable is missing and `INSIGHTS_SKIP_RECEIVERS` is not set.
#[must_use]
pub fn peer(variable: &str) -> Option<String> {
    if std::env::var_os("INSIGHTS_SKIP_RECEIVERS").is_some() {
        eprintln!("skipped, because INSIGHTS_SKIP_RECEIVERS is set: {variable}");
        return None;
    }
    Some(std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; `cargo xtask test` sets it, and `cargo xtask receivers` prints it")
    }))
}
