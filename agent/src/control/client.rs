//! The client side of the control protocol.

use std::fs::File;
use std::io;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Stream as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::Instant;

use super::{MAX_LINE_BYTES, Reply, Request, socket_name};
use crate::paths::{DataDir, LockError};

/// Maximum wait for an answer. A withdrawal of consent waits for the log reader, which may be in
/// the middle of a batch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before an agent that is starting or stopping is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Why the agent does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No agent runs on this data folder.
    #[error("no agent is running on {0}; `insights-agent run` starts it")]
    NotRunning(String),
    /// The agent accepts the request but does not answer in time.
    #[error("the agent does not answer; end its process and start it again")]
    Silent,
    /// The connection failed.
    #[error("failed to connect to the agent: {0}")]
    Io(#[from] io::Error),
    /// The agent has another version, and its answer cannot be parsed.
    #[error(
        "the running agent has another version and gave an unknown answer ({0}); restart the agent after an update"
    )]
    UnknownAnswer(serde_json::Error),
}

/// Sends a request to the agent that runs on a data folder.
///
/// # Errors
/// See [`AskError`].
pub async fn ask(data: &DataDir, request: &Request) -> Result<Reply, AskError> {
    tokio::time::timeout(ANSWER_TIMEOUT, exchange(data, request)).await.unwrap_or(Err(AskError::Silent))
}

/// Returns whether an agent runs on a data folder and answers.
pub async fn is_running(data: &DataDir) -> bool {
    ask(data, &Request::Status).await.is_ok()
}

/// Sends a request to the agent that runs on a data folder. If none runs, locks the folder, so that
/// none starts in the meantime. Waits for an agent that is just starting or stopping.
///
/// # Errors
/// See [`AskError`].
pub async fn ask_or_lock(data: &DataDir, request: &Request) -> Result<Contact, AskError> {
    let until = Instant::now() + ANSWER_TIMEOUT;
    loop {
        match ask(data, request).await {
            Err(AskError::NotRunning(_)) => {}
            answer => return answer.map(|reply| Contact::Agent(Box::new(reply))),
        }
        data.create()?;
        match data.lock() {
            Ok(lock) => return Ok(Contact::NotRunning(lock)),
            Err(LockError::Io(error)) => return Err(error.into()),
            Err(LockError::Taken(_)) if Instant::now() < until => tokio::time::sleep(RETRY_DELAY).await,
            Err(LockError::Taken(_)) => return Err(AskError::Silent),
        }
    }
}

/// The result of [`ask_or_lock`].
#[derive(Debug)]
pub enum Contact {
    /// The agent's answer.
    Agent(Box<Reply>),
    /// No agent is running, and none can start while this lock is held.
    NotRunning(File),
}

async fn exchange(data: &DataDir, request: &Request) -> Result<Reply, AskError> {
    let stream = match Stream::connect(socket_name(data)?).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(AskError::NotRunning(data.path().display().to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut line = serde_json::to_vec(request).map_err(AskError::UnknownAnswer)?;
    line.push(b'\n');
    (&stream).write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new((&stream).take(MAX_LINE_BYTES)).read_line(&mut answer).await?;
    serde_json::from_str(&answer).map_err(AskError::UnknownAnswer)
}
