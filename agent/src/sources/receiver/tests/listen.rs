//! Where it listens.

use std::net::{IpAddr, TcpListener as Listener};

use super::*;
use crate::config::DestinationSettings;

/// A port of 127.0.0.1 that nobody uses at the moment.
fn free_port() -> u16 {
    Listener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn on(grpc_port: u16, http_port: u16, collector: CollectorSettings) -> Desk {
    let settings = ReceiverSettings { grpc_port, http_port, ..ReceiverSettings::default() };
    Desk::start(settings, collector, &QueueSettings::default())
}

/// Guarantees: where a port is taken a free one is used, published and told; the file goes with the receiver.
///
/// Settings: `receiver.grpc_port`, `receiver.http_port`.
#[tokio::test]
async fn a_port_that_is_taken_is_replaced() {
    let other = Listener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let desk = on(0, taken, CollectorSettings::default());
    let status = desk.receiver.status();
    let published: Value = serde_json::from_slice(&std::fs::read(desk.data.receiver()).unwrap()).unwrap();
    assert_eq!(published, json!({ "http": status.http, "grpc": status.grpc, "pid": std::process::id() }));
    let problem = status.problem.unwrap();
    assert!(problem.contains(&format!("port {taken} cannot be used")), "{problem}");
    assert_ne!(desk.http.port(), taken);
    let (published, http) = (desk.data.receiver(), desk.http);
    desk.end().await;
    assert!(!published.exists());
    assert!(TcpStream::connect(http).is_err(), "nobody listens any more");
}

/// Guarantees: a port at which a collector is expected, of whatever signal, is left to it, and that is no problem.
#[tokio::test]
async fn the_ports_of_collectors_are_left_alone() {
    let (first, second) = (free_port(), free_port());
    let at = |port: u16| Some(format!("http://localhost:{port}").parse().unwrap());
    let mut collector = CollectorSettings { endpoint: at(first).unwrap(), ..CollectorSettings::default() };
    collector.fallback = DestinationSettings { endpoint: at(second), ..DestinationSettings::default() };
    let desk = on(first, second, collector);
    let status = desk.receiver.status();
    assert_eq!(status.problem, None);
    for port in [first, second] {
        assert!(!status.http.as_ref().unwrap().ends_with(&format!(":{port}")));
        assert!(!status.grpc.as_ref().unwrap().ends_with(&format!(":{port}")));
    }
    desk.end().await;
}

/// Guarantees: another program that listens on all addresses keeps its port, which Windows would give away beside it.
#[tokio::test]
async fn nobody_is_listened_beside() {
    let other = Listener::bind("0.0.0.0:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let desk = on(0, taken, CollectorSettings::default());
    assert_ne!(desk.http.port(), taken);
    assert!(desk.receiver.status().problem.unwrap().contains("in use"));
    desk.end().await;
}

/// Guarantees: a stranger on the port of `::1` is told: what is sent to `localhost` may reach it.
#[tokio::test]
async fn a_stranger_on_ipv6_is_told() {
    let Ok(other) = Listener::bind("[::1]:0") else { return };
    let port = other.local_addr().unwrap().port();
    let desk = on(0, port, CollectorSettings::default());
    assert_eq!(desk.http.port(), port, "of 127.0.0.1 it is free");
    let problem = desk.receiver.status().problem.unwrap();
    assert!(problem.contains(&format!("port {port} of ::1 is another program's")), "{problem}");
    desk.end().await;
}

/// Guarantees: requests over IPv6 are taken; at the machine's other addresses nobody listens.
#[tokio::test]
async fn only_loopback_is_listened_at() {
    let desk = Desk::usual();
    let port = desk.http.port();
    match TcpStream::connect(("::1", port)) {
        Ok(mut stream) => {
            let head =
                "POST /v1/traces HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\nContent-Type: application/json\r\n";
            write!(stream, "{head}Content-Length: 2\r\n\r\n{{}}").unwrap();
            let read = tokio::task::spawn_blocking(move || {
                let mut answer = String::new();
                stream.read_to_string(&mut answer).map(|_| answer)
            });
            assert_eq!(status_of(&read.await.unwrap().unwrap()), "200");
        }
        Err(error) => eprintln!("left out, for there is no IPv6: {error}"),
    }
    let networks = sysinfo::Networks::new_with_refreshed_list().unwrap();
    let addresses = networks.values().flat_map(sysinfo::NetworkData::ip_networks).map(|network| network.addr);
    let others: Vec<IpAddr> = addresses.filter(|address| !address.is_loopback()).collect();
    if others.is_empty() {
        eprintln!("left out, for the machine has no other address");
    }
    for address in others {
        assert!(TcpStream::connect((address, port)).is_err(), "somebody answers at {address}");
    }
    desk.end().await;
}
