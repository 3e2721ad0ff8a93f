//! Ports on loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::CollectorSettings;

/// Wait for somebody who listens already: on loopback a connection is there at once, or not at all.
const KNOCK: Duration = Duration::from_millis(50);

/// Listens on a port of both loopback addresses; on a free one if it is taken, or if the collector is expected there. Says
/// what is not as it was wanted. IPv6 may be switched off.
pub(super) fn bind(wanted: u16, collector: &CollectorSettings) -> (Vec<TcpListener>, Option<String>) {
    // An agent that took its collector's port would send to itself. That it does not is no problem but its way.
    let port = if is_collectors(collector, wanted) { 0 } else { wanted };
    let mut problem = None;
    let first = listen(Ipv4Addr::LOCALHOST.into(), port).or_else(|error| {
        problem = Some(format!("port {port} cannot be used ({error}), a free one is used instead."));
        listen(Ipv4Addr::LOCALHOST.into(), 0)
    });
    let first = match first {
        Ok(first) => first,
        Err(error) => return (Vec::new(), Some(format!("the system lets nobody listen: {error}."))),
    };
    let same = first.local_addr().map_or(0, |address| address.port());
    match listen(Ipv6Addr::LOCALHOST.into(), same) {
        Ok(second) => (vec![first, second], problem),
        Err(error) => {
            if error.kind() == io::ErrorKind::AddrInUse {
                problem.get_or_insert_with(|| {
                    format!("port {same} of ::1 is another program's, which may get what is sent to `localhost`.")
                });
            }
            (vec![first], problem)
        }
    }
}

/// Whether what is sent to the collector goes to this port of this machine.
fn is_collectors(collector: &CollectorSettings, port: u16) -> bool {
    let others = [&collector.metrics, &collector.traces, &collector.logs, &collector.fallback];
    let endpoints =
        std::iter::once(&collector.endpoint).chain(others.into_iter().filter_map(|of| of.endpoint.as_ref()));
    endpoints.into_iter().any(|endpoint| endpoint.is_loopback() && endpoint.url().port_or_known_default() == Some(port))
}

fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let address = SocketAddr::new(address, port);
    // Windows lets a port of 127.0.0.1 be had although another program listens on it at 0.0.0.0, and takes its traffic.
    if port != 0 && TcpStream::connect_timeout(&address, KNOCK).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
