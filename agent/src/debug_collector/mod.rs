//! A small OTLP receiver on loopback, for trying things out and for tests: it prints or counts what arrives and keeps
//! nothing.
//!
//! It speaks OTLP/gRPC and OTLP/HTTP with protobuf, uncompressed, gzip and zstd. Handlers decode a request and hand it
//! over a bounded channel to the one task that prints; a request is acknowledged after it has been handed over, so
//! whatever was acknowledged is printed and counted, also when the collector is stopped.

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

/// Largest HTTP body, as it comes over the wire: four times the largest request of common exporters.
pub const LARGEST_BODY: usize = 16 << 20;
/// Largest request when decompressed, over either protocol: as much as a receiver of a desktop should ever hold.
pub const LARGEST_REQUEST: usize = 64 << 20;
/// Decoded requests between the handlers and the printing task: enough to overlap them, few enough to bound memory.
const CHANNEL: usize = 8;
/// How often [`Format::Count`] prints at most.
const COUNT_PERIOD: Duration = Duration::from_secs(1);
/// How long requests that are under way may take after a shutdown; a client that sends slowly must not hold it up.
const GRACE: Duration = Duration::from_secs(2);

/// Where to listen and what to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address of OTLP/gRPC; port 0 takes a free one.
    pub grpc: SocketAddr,
    /// Address of OTLP/HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// What is printed.
    pub format: Format,
    /// Whether [`Format::Text`] is coloured with ANSI escape sequences.
    pub colour: bool,
}

impl Default for Options {
    /// The ports that OTLP has registered (OTLP specification, sections "OTLP/gRPC Default Port" and "OTLP/HTTP Default
    /// Port").
    fn default() -> Self {
        Self {
            grpc: SocketAddr::from((Ipv4Addr::LOCALHOST, 4317)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 4318)),
            format: Format::Text,
            colour: false,
        }
    }
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: a head line for each request, and a line for each item.
    #[default]
    Text,
    /// For programs: a JSON object for each item.
    Json,
    /// Totals, at most once a second and at the end.
    Count,
}

/// Why a collector cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// Others on the network could send to it.
    #[error(
        "{address} is not an address of this machine alone: the collector accepts anything from anyone, so it listens \
         on loopback only; use 127.0.0.1:{port} or [::1]:{port}", port = .address.port()
    )]
    NotLoopback {
        /// The refused address.
        address: SocketAddr,
    },
    /// Another program has the port.
    #[error(
        "port {port} of {ip}, for OTLP over {protocol}, is taken: stop the program that listens there (often another \
         collector), or choose another port (0 takes a free one)", port = .address.port(), ip = .address.ip()
    )]
    PortTaken {
        /// The taken address.
        address: SocketAddr,
        /// `gRPC` or `HTTP`.
        protocol: &'static str,
    },
    /// The system refuses for another reason.
    #[error("cannot listen on {address} for OTLP over {protocol}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// `gRPC` or `HTTP`.
        protocol: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Listens on both addresses. From here on clients can connect; they are answered by [`Collector::run`].
///
/// # Errors
/// When an address is not a loopback one, or cannot be listened on.
pub async fn bind(options: &Options) -> Result<Collector, CollectorError> {
    let (grpc, grpc_addr) = listen(options.grpc, Transport::Grpc).await?;
    let (http, http_addr) = listen(options.http, Transport::Http).await?;
    Ok(Collector { grpc, grpc_addr, http, http_addr, format: options.format, colour: options.colour })
}

async fn listen(address: SocketAddr, transport: Transport) -> Result<(TcpListener, SocketAddr), CollectorError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(CollectorError::NotLoopback { address });
    }
    let protocol = transport.name();
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound.await.map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => CollectorError::PortTaken { address, protocol },
        _ => CollectorError::Listen { address, protocol, source },
    })
}

/// A collector that listens.
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
    /// Where it listens for OTLP/gRPC, with the port that the system chose.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where it listens for OTLP/HTTP, with the port that the system chose.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Answers until `shutdown`, then finishes what is under way (two seconds at most). `print` gets one line at a
    /// time, without its end. What it gives back holds everything that was acknowledged.
    pub async fn run(
        self,
        mut print: impl FnMut(&str) + Send + 'static,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Totals {
        let mut printer = Printer::new(self.format, self.colour);
        let mut totals = Totals::default();
        let (sender, mut received) = mpsc::channel(CHANNEL);
        let (stop, stopped) = watch::channel(());
        let intake = Intake(sender);
        let mut servers = tokio::spawn(serve(self.grpc, self.http, intake, stopped));
        let stopping = async {
            shutdown.await;
            drop(stop);
            if tokio::time::timeout(GRACE, &mut servers).await.is_err() {
                servers.abort();
            }
        };
        tokio::pin!(stopping);
        let mut ticks = tokio::time::interval(COUNT_PERIOD);
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

/// Both servers, until every sender of `stopped` is gone and what was under way is answered.
async fn serve(grpc: TcpListener, http: TcpListener, intake: Intake, stopped: watch::Receiver<()>) {
    let stop = |mut stopped: watch::Receiver<()>| async move { while stopped.changed().await.is_ok() {} };
    tokio::join!(
        grpc::serve(grpc, intake.clone(), stop(stopped.clone())),
        http::serve(http, intake.clone(), stop(stopped)),
    );
}

/// How much of each signal has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Items are data points.
    pub metrics: SignalTotals,
    /// Items are spans.
    pub traces: SignalTotals,
    /// Items are log records.
    pub logs: SignalTotals,
}

/// How much of one signal has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalTotals {
    /// Export requests.
    pub requests: u64,
    /// What OTLP's partial success counts: data points, spans, log records.
    pub items: u64,
    /// Size of the requests as uncompressed protobuf.
    pub bytes: u64,
}

impl Totals {
    /// Those of a signal.
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

/// One line, as in `metrics 12 items in 1 request, 2.1 KiB; logs 800 items in 2 requests, 96 KiB`.
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

/// How requests become lines.
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

    /// Prints totals if something arrived since they were printed.
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
struct Intake(mpsc::Sender<Received>);

/// The collector is being stopped: the request was not taken.
#[derive(Debug, thiserror::Error)]
#[error("the collector is being stopped")]
struct Stopping;

impl Intake {
    /// Waits until the printing task has room.
    async fn take(&self, transport: Transport, request: Request) -> Result<(), Stopping> {
        let received = Received { at: Timestamp::now(), transport, request };
        self.0.send(received).await.map_err(|_| Stopping)
    }
}
