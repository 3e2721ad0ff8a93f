//! A named thread that runs a step at a fixed interval until its owner is dropped.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Handle of the thread. Dropping it ends the thread: immediately while it waits, otherwise after
/// the running step.
#[derive(Debug)]
pub(in crate::sources) struct Sampler {
    owner: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread. The first step runs immediately, each further one an `interval` after the
    /// previous one was due.
    ///
    /// # Errors
    /// When the operating system cannot create a thread.
    pub(in crate::sources) fn start(
        name: &str,
        interval: Duration,
        mut step: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (owner, owner_dropped) = mpsc::channel::<Infallible>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut due = Instant::now();
            loop {
                step();
                due = next_due(due, Instant::now(), interval);
                match owner_dropped.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { owner: Some(owner), thread: Some(thread) })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.owner.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was already reported by the panic hook, and nothing needs
            // cleaning up.
            _ = thread.join();
        }
    }
}

/// Returns when the next step is due. Missed steps are skipped, never made up for.
fn next_due(due: Instant, now: Instant, interval: Duration) -> Instant {
    let next = due + interval;
    if next > now { next } else { now + interval }
}

#[cfg(test)]
mod tests;
