//! Listening on ports of the loopback addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::CollectorSettings;

/// Maximum time to find out whether another program listens on a port. On loopback a connection is
/// made at once or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_millis(50);

/// Listens on a port of both loopback addresses, or on a free port if another program uses it or
/// the collector is configured there. Returns the listeners, and a sentence if something is not as
/// configured. A missing IPv6 is not a problem, because a system may have it turned off.
pub(super) fn bind(wanted: u16, collector: &CollectorSettings) -> (Vec<TcpListener>, Option<String>) {
    // On the port of its collector, the agent would send to itself. Another port is then the
    // expected behaviour and not reported as a problem.
    let port = if is_collector_port(collector, wanted) { 0 } else { wanted };
    let mut problem = None;
    let ipv4 = listen(Ipv4Addr::LOCALHOST.into(), port).or_else(|error| {
        problem = Some(format!("port {port} is not available ({error}), so a free port is used instead."));
        listen(Ipv4Addr::LOCALHOST.into(), 0)
    });
    let ipv4 = match ipv4 {
        Ok(listener) => listener,
        Err(error) => return (Vec::new(), Some(format!("the system does not allow listening: {error}."))),
    };
    let port = ipv4.local_addr().map_or(0, |address| address.port());
    match listen(Ipv6Addr::LOCALHOST.into(), port) {
        Ok(ipv6) => (vec![ipv4, ipv6], problem),
        Err(error) => {
            if error.kind() == io::ErrorKind::AddrInUse {
                problem.get_or_insert_with(|| {
                    format!("another program uses port {port} of ::1 and may receive data that is sent to `localhost`.")
                });
            }
            (vec![ipv4], problem)
        }
    }
}

/// Returns whether a destination of the collector settings is this port of this machine.
fn is_collector_port(collector: &CollectorSettings, port: u16) -> bool {
    let destinations = [&collector.metrics, &collector.traces, &collector.logs, &collector.fallback];
    let endpoints = std::iter::once(&collector.endpoint)
        .chain(destinations.into_iter().filter_map(|destination| destination.endpoint.as_ref()));
    endpoints.into_iter().any(|endpoint| endpoint.is_loopback() && endpoint.url().port_or_known_default() == Some(port))
}

fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    // Windows allows binding a port of 127.0.0.1 although another program listens on 0.0.0.0 with
    // the same port, and would give its traffic to us. So the port is probed first.
    if port != 0 && TcpStream::connect_timeout(&address, PROBE_TIMEOUT).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
