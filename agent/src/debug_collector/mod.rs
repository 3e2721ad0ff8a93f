//! A small OTLP receiver on loopback, for trying things out and for tests. It prints or counts the
//! received data and stores nothing.
//!
//! It supports OTLP/gRPC and OTLP/HTTP with protobuf, uncompressed or compressed with gzip or zstd.
//! Handlers decode a request and send it over a bounded channel to the one task that prints.
//!
//! **Invariant:** a request is acknowledged only after it is in the channel, and the channel is
//! drained on a shutdown. So every acknowledged request is printed and counted.

mod grpc;
mod http;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::otlp::Signal;
use crate::otlp::describe::{Received, Request, Transport, json_lines, text};

/// Maximum size of an HTTP body on the wire: four times the largest request of common exporters.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// Maximum size of a decompressed request, over both protocols: as much memory as a receiver on a
/// desktop should ever use.
pub const MAX_REQUEST_BYTES: usize = 64 << 20;
/// Maximum number of decoded requests between the handlers and the printing task: enough for both
/// to work at the same time, and few enough to limit memory.
const CHANNEL_CAPACITY: usize = 8;
/// Minimum interval between two lines of [`Format::Count`].
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time for requests in progress on a shutdown, so that a slow client cannot delay it.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The addresses and the output format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address for OTLP/gRPC. Port 0 selects a free port.
    pub grpc: SocketAddr,
    /// Address for OTLP/HTTP. Port 0 selects a free port.
    pub http: SocketAddr,
    /// The output format.
    pub format: Format,
    /// Whether [`Format::Text`] uses colours (ANSI escape sequences).
    pub colour: bool,
}

impl Default for Options {
    /// Returns the default ports of OTLP (OTLP specification, sections "OTLP/gRPC Default Port" and
    /// "OTLP/HTTP Default Port").
    fn default() -> Self {
        Self {
            grpc: SocketAddr::from((Ipv4Addr::LOCALHOST, 4317)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 4318)),
            format: Format::Text,
            colour: false,
        }
    }
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: a heading for each request, and one line for each item.
    #[default]
    Text,
    /// For programs: one JSON object for each item.
    Json,
    /// Totals, at most once a second and at the end.
    Count,
}

/// Why the collector cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address can be reached from other machines.
    #[error(
        "{address} is not a loopback address: the collector accepts data from every sender, so it listens on loopback \
         only; use 127.0.0.1:{port} or [::1]:{port}", port = .address.port()
    )]
    NotLoopback {
        /// The rejected address.
        address: SocketAddr,
    },
    /// Another program uses the port.
    #[error(
        "port {port} of {ip} for OTLP over {protocol} is in use: stop the program that uses it (often another \
         collector), or choose another port (0 selects a free one)", port = .address.port(), ip = .address.ip()
    )]
    PortInUse {
        /// The address in use.
        address: SocketAddr,
        /// `gRPC` or `HTTP`.
        protocol: &'static str,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {address} for OTLP over {protocol}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// `gRPC` or `HTTP`.
        protocol: &'static str,
        /// The error of the system.
        source: io::Error,
    },
}

/// Listens on both addresses. From now on clients can connect; [`Collector::run`] answers them.
///
/// # Errors
/// When an address is not a loopback address, or not available.
pub async fn bind(options: &Options) -> Result<Collector, BindError> {
    let (grpc, grpc_addr) = listen(options.grpc, Transport::Grpc).await?;
    let (http, http_addr) = listen(options.http, Transport::Http).await?;
    Ok(Collector { grpc, grpc_addr, http, http_addr, format: options.format, colour: options.colour })
}

async fn listen(address: SocketAddr, transport: Transport) -> Result<(TcpListener, SocketAddr), BindError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(BindError::NotLoopback { address });
    }
    let protocol = transport.name();
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound.await.map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::PortInUse { address, protocol },
        _ => BindError::Listen { address, protocol, source },
    })
}

/// A collector that listens and has not started to answer.
#[derive(Debug)]
pub struct Collector {
    grpc: TcpListener,
    grpc_addr: SocketAddr,
    http: TcpListener,
    http_addr: SocketAddr,
    format: Format,
    colour: bool,
}

impl Collector {
    /// Returns the address for OTLP/gRPC, with the port that the system selected.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Returns the address for OTLP/HTTP, with the port that the system selected.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Answers requests until `shutdown`, then finishes those in progress (for at most two
    /// seconds). `print` is called for each line, without a line break. The returned totals include
    /// every acknowledged request.
    pub async fn run(
        self,
        mut print: impl FnMut(&str) + Send + 'static,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Totals {
        let mut printer = Printer::new(self.format, self.colour);
        let mut totals = Totals::default();
        let (sender, mut received) = mpsc::channel(CHANNEL_CAPACITY);
        let (stop, stopped) = watch::channel(());
        let ingest = Ingest(sender);
        let mut servers = tokio::spawn(serve(self.grpc, self.http, ingest, stopped));
        let stopping = async {
            shutdown.await;
            drop(stop);
            if tokio::time::timeout(STOP_TIMEOUT, &mut servers).await.is_err() {
                servers.abort();
            }
        };
        tokio::pin!(stopping);
        let mut ticks = tokio::time::interval(COUNT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(one) = received.recv() => {
                    totals.add(&one.request);
                    printer.request(&one, &mut print);
                }
                _ = ticks.tick(), if self.format == Format::Count => printer.totals(&totals, &mut print),
                () = &mut stopping => break,
            }
        }
        received.close();
        while let Some(one) = received.recv().await {
            totals.add(&one.request);
            printer.request(&one, &mut print);
        }
        printer.end(&totals, &mut print);
        totals
    }
}

/// Runs both servers until every sender of `stopped` is dropped and the requests in progress are
/// answered.
async fn serve(grpc: TcpListener, http: TcpListener, ingest: Ingest, stopped: watch::Receiver<()>) {
    let stop = |mut stopped: watch::Receiver<()>| async move { while stopped.changed().await.is_ok() {} };
    tokio::join!(
        grpc::serve(grpc, ingest.clone(), stop(stopped.clone())),
        http::serve(http, ingest.clone(), stop(stopped)),
    );
}

/// The amount of received data by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Data points.
    pub metrics: SignalTotals,
    /// Spans.
    pub traces: SignalTotals,
    /// Log records.
    pub logs: SignalTotals,
}

/// The amount of received data of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalTotals {
    /// Number of export requests.
    pub requests: u64,
    /// Number of data points, spans or log records.
    pub items: u64,
    /// Size of the requests as uncompressed protobuf.
    pub bytes: u64,
}

impl Totals {
    /// Returns the totals of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &SignalTotals {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    fn add(&mut self, request: &Request) {
        let totals = match request.signal() {
            Signal::Metrics => &mut self.metrics,
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
        };
        totals.requests += 1;
        totals.items += request.items() as u64;
        totals.bytes += request.encoded_len() as u64;
    }
}

/// Writes one line, as in
/// `metrics 12 items in 1 request, 2.1 KiB; logs 800 items in 2 requests, 96 KiB`.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for signal in Signal::ALL {
            let SignalTotals { requests, items, bytes } = *self.of(signal);
            if requests > 0 {
                let size = text::quantity(bytes as f64, "By");
                let (items, requests) = (text::plural(items, "item"), text::plural(requests, "request"));
                write!(f, "{separator}{signal} {items} in {requests}, {size}")?;
                separator = "; ";
            }
        }
        if separator.is_empty() { f.write_str("nothing received") } else { Ok(()) }
    }
}

/// Turns requests into lines.
#[derive(Debug)]
enum Printer {
    Text(text::Text),
    Json,
    Count { printed: Totals },
}

impl Printer {
    fn new(format: Format, colour: bool) -> Self {
        match format {
            Format::Text => Self::Text(text::Text::new(TimeZone::system(), colour)),
            Format::Json => Self::Json,
            Format::Count => Self::Count { printed: Totals::default() },
        }
    }

    fn request(&mut self, received: &Received, print: &mut dyn FnMut(&str)) {
        match self {
            Self::Text(text) => text.request(received, print),
            Self::Json => json_lines::request(&received.request, print),
            Self::Count { .. } => {}
        }
    }

    /// Prints the totals if they changed since they were printed.
    fn totals(&mut self, totals: &Totals, print: &mut dyn FnMut(&str)) {
        if let Self::Count { printed } = self
            && printed != totals
        {
            print(&totals.to_string());
            *printed = *totals;
        }
    }

    fn end(&self, totals: &Totals, print: &mut dyn FnMut(&str)) {
        if matches!(self, Self::Count { .. }) {
            print(&format!("total: {totals}"));
        }
    }
}

/// The handlers' end of the channel to the printing task.
#[derive(Debug, Clone)]
struct Ingest(mpsc::Sender<Received>);

/// The request was not accepted, because the collector is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("the collector is shutting down")]
struct ShuttingDown;

impl Ingest {
    /// Sends a request to the printing task. Waits while the channel is full.
    async fn accept(&self, transport: Transport, request: Request) -> Result<(), ShuttingDown> {
        let received = Received { at: Timestamp::now(), transport, request };
        self.0.send(received).await.map_err(|_| ShuttingDown)
    }
}
