//! Delivery that spares the machine, on the built program.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use insights_agent_tests::desktop::Desktop;
use insights_agent_tests::network_manager::NetworkManager;
use insights_agent_tests::program::Desk;
use insights_agent_tests::receiver::Receiver;
use serde_json::Value;

fn waiting(status: &Value) -> u64 {
    status["queue"]["metrics"]["batches"].as_u64().unwrap()
}

/// Guarantees: on a metered link, as `NetworkManager` tells it, what waits is kept for the next moment of sending, which the status says and
/// nobody calls a fault; when the link is not metered any more, it goes at once.
///
/// Settings: `collector.saving_interval`.
#[test]
fn a_metered_link_is_spared() {
    let (desktop, receiver) = (Desktop::start(), Receiver::start());
    let network = NetworkManager::start(&desktop);
    let mut desk = Desk::new();
    desk.set(format!("collector.endpoint={}", receiver.endpoint()));
    desk.set("collector.saving_interval=2h");
    let mut command = desk.command(&["run"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", desktop.bus());
    let agent = desk.start_as(command);
    desk.wait_for_status("saving", |status| status["saving"] == "metered");
    let status = desk.wait_for_status("some requests", |status| waiting(status) >= 4);
    assert!(["starting", "delivering"].iter().any(|health| status["health"] == *health), "{status}");
    let page = desk.ok(&["status"]);
    assert!(page.contains("on a metered link: what waits is sent every 2 h"), "{page}");
    network.set_unmetered();
    let status = desk.wait_for_status("all of them", |status| waiting(status) == 0);
    assert_eq!(status["saving"], Value::Null);
    assert!(receiver.metrics() > 0);
    assert!(agent.stop());
}
