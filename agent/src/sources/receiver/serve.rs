//! Connections: accepts them, and limits their number, their speed and their idle time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::http::Server;

/// Maximum number of connections, over all addresses: several for each app of a desktop.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// Maximum time for the head of a request. Also the maximum idle time of an HTTP/1 connection; a
/// client that has more to send connects again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum idle time of a connection after its first request. SDKs send metrics every minute.
const IDLE_TIMEOUT: Duration = Duration::from_mins(3);
/// Maximum size of a request head. Those of SDKs have some hundred bytes; that of a page with its
/// token has a few thousand.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Maximum number of concurrent requests on an HTTP/2 connection.
const MAX_STREAMS: u32 = 16;
/// Interval of HTTP/2 pings, and the maximum time for their answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Pause after the system failed to accept a connection, for example because of too many open
/// files.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum time for an idle connection to close gracefully.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// Accepts connections on an address until `stopped` changes. `slots` limits the connections of all
/// addresses; a connection returns its slot when it ends.
pub(super) async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    slots: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    loop {
        let accept = async {
            let stream = listener.accept().await;
            // invariant: the semaphore is never closed, so this cannot fail
            (stream, Arc::clone(&slots).acquire_owned().await)
        };
        let (stream, slot) = tokio::select! {
            accepted = accept => accepted,
            _ = stopped.changed() => break,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("failed to accept a connection to the receiver: {error:#}");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        let (builder, server, stopped) = (builder.clone(), Arc::clone(&server), stopped.clone());
        tokio::spawn(async move {
            serve_connection(stream, builder, server, stopped).await;
            drop(slot);
        });
    }
}

/// Answers the requests of a connection until it ends, is idle for too long, or `stopped` changes.
/// On a stop, requests in progress are finished.
async fn serve_connection(
    stream: TcpStream,
    builder: Builder<TokioExecutor>,
    server: Arc<Server>,
    mut stopped: watch::Receiver<bool>,
) {
    // If this fails, responses are only slower.
    let _ = stream.set_nodelay(true);
    let in_progress = watch::Sender::new(0_usize);
    let requests = in_progress.subscribe();
    let service = service_fn(move |request| {
        let (server, counted) = (Arc::clone(&server), CountedRequest::new(&in_progress));
        async move {
            let response = server.answer(request).await;
            drop(counted);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = idle(requests) => {
            // A client that never sent a request does not answer a graceful shutdown either, so the
            // connection is dropped after a moment.
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(CLOSE_TIMEOUT, connection).await {
                Ok(result) => result,
                Err(_) => Ok(()),
            }
        }
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection to the receiver ended with an error");
    }
}

/// Returns when a connection has been without a request for too long.
async fn idle(mut requests: watch::Receiver<usize>) {
    let mut limit = HEAD_TIMEOUT;
    // The sender of `requests` lives as long as the connection.
    while tokio::time::timeout(limit, requests.wait_for(|count| *count > 0)).await.is_ok_and(|started| started.is_ok())
    {
        let _ = requests.wait_for(|count| *count == 0).await;
        limit = IDLE_TIMEOUT;
    }
}

/// A request in progress, which counts until it is dropped.
struct CountedRequest(watch::Sender<usize>);

impl CountedRequest {
    fn new(in_progress: &watch::Sender<usize>) -> Self {
        in_progress.send_modify(|count| *count += 1);
        Self(in_progress.clone())
    }
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
