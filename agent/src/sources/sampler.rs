//! A named thread that does something in steady steps until its owner lets go of it.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The thread. Dropping it ends the thread: at once while it waits, else after the step that is running.
#[derive(Debug)]
pub(in crate::sources) struct Sampler {
    owner: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread. The first step is taken at once, each further one an `interval` after the one before was due.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(in crate::sources) fn start(
        name: &str,
        interval: Duration,
        mut step: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (owner, ended) = mpsc::channel::<Infallible>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut due = Instant::now();
            loop {
                step();
                due = next_due(due, Instant::now(), interval);
                match ended.recv_timeout(due.saturating_duration_since(Instant::now())) {
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
            // A panic in the thread was reported by the panic hook; there is nothing left to clean up.
            _ = thread.join();
        }
    }
}

/// When the next step is due. Steps that were missed are skipped, never caught up.
fn next_due(due: Instant, now: Instant, interval: Duration) -> Instant {
    let next = due + interval;
    if next > now { next } else { now + interval }
}

#[cfg(test)]
mod tests;
