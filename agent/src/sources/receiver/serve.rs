//! Connections: how many, and how slow and idle they may be.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::http::Server;

/// Most connections at a time, of all addresses together: some for each of a desk's apps.
pub(super) const MOST_CONNECTIONS: usize = 256;
/// Time for the head of a request, and for which a connection of HTTP/1 may be idle: a client that wants more connects again.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// For how long a connection may be idle after its first request: SDKs send metrics every minute.
const IDLE_TIME: Duration = Duration::from_mins(3);
/// Largest head of a request. Those of the SDKs have some hundred bytes, a page's with its token a few thousand.
const LARGEST_HEAD: usize = 16 << 10;
/// Most requests at a time on one connection of HTTP/2.
const MOST_STREAMS: u32 = 16;
/// A connection of HTTP/2 whose client does not answer for this long is dead.
const PING: Duration = Duration::from_secs(20);
/// Rest after the system has refused a connection, as when there are too many open files.
const REST: Duration = Duration::from_millis(200);

/// Answers on an address until it is told to stop. `places` are those of all addresses; a connection gives its own back when
/// it ends.
pub(super) async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    loop {
        let accepted = async {
            let accepted = listener.accept().await;
            // The semaphore is never closed.
            (accepted, Arc::clone(&places).acquire_owned().await)
        };
        let (stream, place) = tokio::select! {
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
        let (builder, server, stopped) = (builder.clone(), Arc::clone(&server), stopped.clone());
        tokio::spawn(async move {
            answer(stream, builder, server, stopped).await;
            drop(place);
        });
    }
}

/// Answers on a connection until it ends, is idle for too long, or the receiver is told to stop; what is under way then ends.
async fn answer(
    stream: TcpStream,
    builder: Builder<TokioExecutor>,
    server: Arc<Server>,
    mut stopped: watch::Receiver<bool>,
) {
    // Only slower without.
    let _ = stream.set_nodelay(true);
    let under_way = watch::Sender::new(0_usize);
    let requests = under_way.subscribe();
    let service = service_fn(move |request| {
        let (server, counted) = (Arc::clone(&server), Counted::new(&under_way));
        async move {
            let response = server.answer(request).await;
            drop(counted);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = idle(requests) => {
            // Who has never asked is not told either.
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(REST, connection).await {
                Ok(ended) => ended,
                Err(_) => Ok(()),
            }
        }
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection to the receiver has ended");
    }
}

/// Returns when a connection has had no request for too long.
async fn idle(mut requests: watch::Receiver<usize>) {
    let mut most = HEAD_TIME;
    // The counter lives as long as its connection.
    while tokio::time::timeout(most, requests.wait_for(|count| *count > 0)).await.is_ok_and(|asked| asked.is_ok()) {
        let _ = requests.wait_for(|count| *count == 0).await;
        most = IDLE_TIME;
    }
}

/// A request that is under way, counted as such until this is dropped.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(under_way: &watch::Sender<usize>) -> Self {
        under_way.send_modify(|count| *count += 1);
        Self(under_way.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
