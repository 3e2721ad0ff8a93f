//! Asking a running agent.

use std::fs::File;
use std::io;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Stream as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::Instant;

use super::{MAX_LINE, Reply, Request, socket_name};
use crate::paths::{DataDir, LockError};

/// Longest wait for an answer. Withdrawing consent waits for the reader, which may be in the middle of a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause before an agent that is starting or ending is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No agent runs on this data folder.
    #[error("no agent is running on {0}; `insights-agent run` starts it")]
    NotRunning(String),
    /// An agent has taken the question and does not answer.
    #[error("the agent does not answer; end its process and start it again")]
    Silent,
    /// The connection does not work.
    #[error("the agent cannot be asked: {0}")]
    Io(#[from] io::Error),
    /// The answer is not of this version.
    #[error("the running agent answers in a way unknown to this version ({0}); restart it after an update")]
    Strange(serde_json::Error),
}

/// Asks the agent that runs on a data folder.
///
/// # Errors
/// See [`AskError`].
pub async fn ask(data: &DataDir, request: &Request) -> Result<Reply, AskError> {
    tokio::time::timeout(PATIENCE, exchange(data, request)).await.unwrap_or(Err(AskError::Silent))
}

/// Whether an agent runs on a data folder and answers.
pub async fn is_answered(data: &DataDir) -> bool {
    ask(data, &Request::Status).await.is_ok()
}

/// Asks the agent that runs on a data folder; if none does, takes the folder, so that none starts meanwhile. One that is
/// starting or ending is waited for.
///
/// # Errors
/// See [`AskError`].
pub async fn ask_or_lock(data: &DataDir, request: &Request) -> Result<Asked, AskError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask(data, request).await {
            Err(AskError::NotRunning(_)) => {}
            answer => return answer.map(|reply| Asked::Answered(Box::new(reply))),
        }
        data.create()?;
        match data.lock() {
            Ok(lock) => return Ok(Asked::Nobody(lock)),
            Err(LockError::Io(error)) => return Err(error.into()),
            Err(LockError::Taken(_)) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
            Err(LockError::Taken(_)) => return Err(AskError::Silent),
        }
    }
}

/// Who was there to be asked.
#[derive(Debug)]
pub enum Asked {
    /// An agent, which said this.
    Answered(Box<Reply>),
    /// Nobody; none starts while this is held.
    Nobody(File),
}

async fn exchange(data: &DataDir, request: &Request) -> Result<Reply, AskError> {
    let stream = match Stream::connect(socket_name(data)?).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(AskError::NotRunning(data.path().display().to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut line = serde_json::to_vec(request).map_err(AskError::Strange)?;
    line.push(b'\n');
    (&stream).write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new((&stream).take(MAX_LINE)).read_line(&mut answer).await?;
    serde_json::from_str(&answer).map_err(AskError::Strange)
}
