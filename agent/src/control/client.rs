//! Asking a running agent.

use std::io;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Stream as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{MAX_LINE, Reply, Request, socket_name};
use crate::paths::DataDir;

/// Longest wait for an answer. Withdrawing consent waits for the reader, which may be in the middle of a batch.
const PATIENCE: Duration = Duration::from_secs(10);

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
