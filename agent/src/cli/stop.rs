//! `stop`: shuts the running agent down.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use insights_agent::control::{Reply, Request, ask};
use insights_agent::paths::LockError;
use insights_agent::sources::processes::is_running;
use insights_agent::startup::CommonArgs;

use super::{block_on, unexpected};

/// Maximum wait for the shutdown: several times what it takes
/// ([`insights_agent::agent::FLUSH_LIMIT`]).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between two checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Asks the agent to shut down, and waits until its process has ended, because an installer
/// replaces its files next.
pub(super) fn stop(common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let (status, done) =
        block_on(async { Ok((ask(&data, &Request::Status).await?, ask(&data, &Request::Shutdown).await?)) })?;
    let Reply::Status(status) = status else { bail!(unexpected(&status)) };
    let Reply::Done = done else { bail!(unexpected(&done)) };
    let until = Instant::now() + SHUTDOWN_TIMEOUT;
    while matches!(data.lock(), Err(LockError::Taken(_))) || is_running(status.process_id) {
        if Instant::now() > until {
            bail!("the agent did not stop within {} s", SHUTDOWN_TIMEOUT.as_secs());
        }
        std::thread::sleep(CHECK_INTERVAL);
    }
    println!("The agent has stopped.");
    Ok(ExitCode::SUCCESS)
}
