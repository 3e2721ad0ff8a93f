//! Help for end-to-end tests: the built program, a receiver in this process, real peers beside it.
//!
//! Everything here fails by panicking with a sentence, because that is how a test fails.

pub mod decoder;
#[cfg(target_os = "linux")]
pub mod desktop;
#[cfg(target_os = "linux")]
pub mod logind;
#[cfg(target_os = "linux")]
pub mod network_manager;
pub mod peers;
#[cfg(unix)]
pub mod platform;
pub mod program;
pub mod receiver;
#[cfg(target_os = "linux")]
pub mod user;
#[cfg(target_os = "linux")]
pub mod wine;

use std::fs::File;
use std::io::{Read, Seek};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for something to happen.
pub const LIMIT: Duration = Duration::from_mins(1);
/// How often it is looked whether it has happened.
const LOOK: Duration = Duration::from_millis(15);

/// Waits until something is there; ends the test with `what` if it does not come.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait(look).unwrap_or_else(|| panic!("waited {} s in vain for {what}", LIMIT.as_secs()))
}

/// Waits until something is there; none if it does not come.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + LIMIT;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= until {
            return found;
        }
        std::thread::sleep(LOOK);
    }
}

/// Runs a command to its end, and returns what it said.
///
/// # Panics
/// When it does not end. It is killed, and what it had said until then is in the message.
#[must_use]
pub fn output(command: &mut Command) -> Output {
    // Not through pipes: what the program leaves running, as Wine and installers do, would hold them open.
    let said = [0, 1].map(|_| tempfile::tempfile().expect("a file"));
    let [out, err] = said.each_ref().map(|file| file.try_clone().expect("a handle"));
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("the program runs");
    let until = Instant::now() + LIMIT;
    let status = loop {
        match child.try_wait().expect("its state") {
            None if Instant::now() < until => std::thread::sleep(LOOK),
            status => break status,
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let [stdout, stderr] = said.map(|file| contents(file).expect("what it said"));
    let Some(status) = status else {
        let said = [&stdout[..], &stderr[..]].concat();
        panic!("{command:?} did not end in {} s; it said: {}", LIMIT.as_secs(), String::from_utf8_lossy(&said));
    };
    Output { status, stdout, stderr }
}

fn contents(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A port that nobody uses at the moment.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A program that an environment variable names. None, said aloud, when the run leaves the real receivers out; a panic
/// when the variable is missing without that.
#[must_use]
pub fn peer(variable: &str) -> Option<String> {
    if std::env::var_os("INSIGHTS_SKIP_RECEIVERS").is_some() {
        eprintln!("left out, because INSIGHTS_SKIP_RECEIVERS is set: {variable}");
        return None;
    }
    Some(std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; `cargo xtask test` sets it, and `cargo xtask receivers` prints it")
    }))
}
