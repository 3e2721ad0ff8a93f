//! Connections: how many, and how slow they may be.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::http::Gate;

/// Most connections at a time on one address: some for each of a desk's apps.
const MOST_CONNECTIONS: usize = 256;
/// Time for the head of a request, and for which a connection may be idle: a client that wants more connects again.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Largest head of a request.
const LARGEST_HEAD: usize = 64 << 10;
/// Most requests at a time on one connection of HTTP/2.
const MOST_STREAMS: u32 = 16;
/// A connection of HTTP/2 whose client does not answer for this long is dead.
const PING: Duration = Duration::from_secs(20);
/// Rest after the system has refused a connection, as when there are too many open files.
const REST: Duration = Duration::from_millis(200);

/// Answers until it is told to stop, then lets what is under way end.
pub(super) async fn serve(listener: TcpListener, gate: Arc<Gate>, mut stopped: watch::Receiver<bool>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let (places, graceful) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), GracefulShutdown::new());
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection to the receiver was not accepted");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        // Only slower without.
        let _ = stream.set_nodelay(true);
        let gate = Arc::clone(&gate);
        let answer = service_fn(move |request| {
            let gate = Arc::clone(&gate);
            async move { Ok::<_, Infallible>(gate.answer(request).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), answer).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection to the receiver has ended");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}
