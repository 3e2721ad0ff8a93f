//! The server side of the control protocol.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::ListenerOptions;
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{MAX_LINE_BYTES, Reply, Request, socket_name};
use crate::paths::DataDir;

/// Maximum connections at a time: a window, a tray and some commands.
const MAX_CONNECTIONS: usize = 16;
/// Maximum time for a client to send its request and read the answer, so that a hanging client
/// frees its place.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(15);
/// Delay after a failed accept, which would otherwise be repeated in a busy loop.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Answers requests.
pub trait Answer: Send + Sync + 'static {
    /// Returns the answer to a request.
    fn answer(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// The listening socket. Dropping it closes it.
#[derive(Debug)]
pub struct Server(JoinHandle<()>);

impl Server {
    /// Listens on the socket of a data folder. This process must hold the folder's lock: a socket
    /// that exists there is then left over from an agent that was killed, and is replaced.
    ///
    /// # Errors
    /// When the socket cannot be created.
    pub fn start(data: &DataDir, answers: Arc<impl Answer>) -> io::Result<Self> {
        let options = ListenerOptions::new().name(socket_name(data)?);
        let listener = owner_only(options, data)?.create_tokio()?;
        Ok(Self(tokio::spawn(serve(listener, answers))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(unix)]
fn owner_only<'a>(options: ListenerOptions<'a>, data: &DataDir) -> io::Result<ListenerOptions<'a>> {
    use interprocess::os::unix::local_socket::ListenerOptionsExt;
    crate::paths::remove_if_exists(&data.control_socket())?;
    Ok(options.mode(0o600))
}

#[cfg(windows)]
fn owner_only<'a>(options: ListenerOptions<'a>, _: &DataDir) -> io::Result<ListenerOptions<'a>> {
    use interprocess::os::windows::local_socket::ListenerOptionsExt;
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;
    // Protected DACL, full access for the owner of the pipe (this user) and for nobody else.
    let descriptor = SecurityDescriptor::deserialize(widestring::u16cstr!("D:P(A;;GA;;;OW)"))?;
    Ok(options.security_descriptor(descriptor))
}

async fn serve(listener: Listener, answers: Arc<impl Answer>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok(stream) => {
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    if let Ok(Err(error)) = tokio::time::timeout(CLIENT_TIMEOUT, converse(&stream, &*answers)).await {
                        tracing::debug!("failed to answer a control request: {error:#}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("failed to accept a control connection: {error:#}");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn converse(stream: &Stream, answers: &impl Answer) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => answers.answer(request).await,
        Err(error) => Reply::Failed { why: format!("unknown request: {error}") },
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    let mut stream = stream;
    stream.write_all(&bytes).await?;
    stream.flush().await
}
