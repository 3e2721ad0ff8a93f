//! Scenario: the network is metered, as `NetworkManager` reports it, and later it is not.

#![cfg(target_os = "linux")]

use serde_json::Value;
use test_support::desktop::Desktop;
use test_support::network_manager::NetworkManager;
use test_support::receiver::Receiver;
use test_support::test_env::TestEnv;

/// Returns the number of queued batches of metrics.
fn queued(status: &Value) -> u64 {
    status["queue"]["metrics"]["batches"].as_u64().unwrap()
}

/// Guarantees: on a metered network, as reported by `NetworkManager`, queued data is kept until the
/// next send slot. The status says so and reports no fault. When the network is no longer metered,
/// the data is sent immediately.
///
/// Settings: `collector.saving_interval`.
#[test]
fn metrics_wait_while_network_is_metered() {
    let (desktop, receiver) = (Desktop::start(), Receiver::start());
    let network = NetworkManager::start(&desktop);
    let mut env = TestEnv::new();
    env.set(format!("collector.endpoint={}", receiver.endpoint()));
    env.set("collector.saving_interval=2h");
    let mut command = env.command(&["run"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", desktop.bus());
    let agent = env.start_as(command);
    env.wait_for_status("saving", |status| status["saving"] == "metered");
    let status = env.wait_for_status("some requests", |status| queued(status) >= 4);
    assert!(["starting", "delivering"].iter().any(|health| status["health"] == *health), "{status}");
    let page = env.ok(&["status"]);
    assert!(page.contains("on a metered network: queued data is sent every 2 hours"), "{page}");
    network.set_unmetered();
    let status = env.wait_for_status("all of them", |status| queued(status) == 0);
    assert_eq!(status["saving"], Value::Null);
    assert!(receiver.metrics() > 0);
    assert!(agent.stop());
}
