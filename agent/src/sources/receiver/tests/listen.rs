//! Scenario: the configured ports are free, busy, or those of a collector.

use std::net::{IpAddr, TcpListener as Listener};

use super::*;
use crate::config::DestinationSettings;

/// Returns a port of 127.0.0.1 that is not in use at the moment.
fn free_port() -> u16 {
    Listener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn on(grpc_port: u16, http_port: u16, collector: CollectorSettings) -> TestEnv {
    let settings = ReceiverSettings { grpc_port, http_port, ..ReceiverSettings::default() };
    TestEnv::start(settings, collector, &QueueSettings::default())
}

/// Guarantees: a busy port is replaced by a free one, which is published and reported. The file is
/// deleted when the receiver stops.
///
/// Settings: `receiver.grpc_port`, `receiver.http_port`.
#[tokio::test]
async fn busy_port_is_replaced_and_published() {
    let other = Listener::bind("127.0.0.1:0").unwrap();
    let busy = other.local_addr().unwrap().port();
    let env = on(0, busy, CollectorSettings::default());
    let status = env.receiver.status();
    let published: Value = serde_json::from_slice(&std::fs::read(env.data.receiver()).unwrap()).unwrap();
    assert_eq!(published, json!({ "http": status.http, "grpc": status.grpc, "pid": std::process::id() }));
    let problem = status.problem.unwrap();
    assert!(problem.contains(&format!("port {busy} is not available")), "{problem}");
    assert_ne!(env.http.port(), busy);
    let (published, http) = (env.data.receiver(), env.http);
    env.stop().await;
    assert!(!published.exists());
    assert!(TcpStream::connect(http).is_err(), "the port is closed");
}

/// Guarantees: a port at which a collector of any signal is configured is not used, and this is not
/// a problem.
#[tokio::test]
async fn collector_ports_are_not_used_for_listening() {
    let (first, second) = (free_port(), free_port());
    let at = |port: u16| Some(format!("http://localhost:{port}").parse().unwrap());
    let mut collector = CollectorSettings { endpoint: at(first).unwrap(), ..CollectorSettings::default() };
    collector.fallback = DestinationSettings { endpoint: at(second), ..DestinationSettings::default() };
    let env = on(first, second, collector);
    let status = env.receiver.status();
    assert_eq!(status.problem, None);
    for port in [first, second] {
        assert!(!status.http.as_ref().unwrap().ends_with(&format!(":{port}")));
        assert!(!status.grpc.as_ref().unwrap().ends_with(&format!(":{port}")));
    }
    env.stop().await;
}

/// Guarantees: a port on which another program listens on all addresses is not used. Windows would
/// allow both to bind it.
#[tokio::test]
async fn port_used_on_all_addresses_is_not_shared() {
    let other = Listener::bind("0.0.0.0:0").unwrap();
    let busy = other.local_addr().unwrap().port();
    let env = on(0, busy, CollectorSettings::default());
    assert_ne!(env.http.port(), busy);
    assert!(env.receiver.status().problem.unwrap().contains("in use"));
    env.stop().await;
}

/// Guarantees: another program on the same port of `::1` is reported, because data sent to
/// `localhost` may reach it.
#[tokio::test]
async fn other_program_on_ipv6_port_is_reported() {
    let Ok(other) = Listener::bind("[::1]:0") else { return };
    let port = other.local_addr().unwrap().port();
    let env = on(0, port, CollectorSettings::default());
    assert_eq!(env.http.port(), port, "the port is free on 127.0.0.1");
    let problem = env.receiver.status().problem.unwrap();
    assert!(problem.contains(&format!("another program uses port {port} of ::1")), "{problem}");
    env.stop().await;
}

/// Guarantees: requests over IPv6 are accepted, and the receiver does not listen on other addresses
/// of the machine.
#[tokio::test]
async fn receiver_listens_on_loopback_only() {
    let env = TestEnv::with_allowed_origin();
    let port = env.http.port();
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
        Err(error) => eprintln!("skipped: no IPv6: {error}"),
    }
    let networks = sysinfo::Networks::new_with_refreshed_list().unwrap();
    let addresses = networks.values().flat_map(sysinfo::NetworkData::ip_networks).map(|network| network.addr);
    let others: Vec<IpAddr> = addresses.filter(|address| !address.is_loopback()).collect();
    if others.is_empty() {
        eprintln!("skipped: the machine has no other address");
    }
    for address in others {
        assert!(TcpStream::connect((address, port)).is_err(), "a listener answers at {address}");
    }
    env.stop().await;
}
