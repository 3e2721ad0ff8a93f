//! A fake `NetworkManager` on the bus of a desktop. It only reports whether the network is metered.

use zbus::blocking::{Connection, connection};

use crate::desktop::Desktop;

/// The path of its object.
const PATH: &str = "/org/freedesktop/NetworkManager";

/// The service. It stops when this is dropped.
#[derive(Debug)]
pub struct NetworkManager(Connection);

struct Manager {
    metered: u32,
}

#[zbus::interface(name = "org.freedesktop.NetworkManager")]
impl Manager {
    #[zbus(property)]
    fn metered(&self) -> u32 {
        self.metered
    }
}

impl NetworkManager {
    /// Starts the service. The network is metered.
    #[must_use]
    pub fn start(desktop: &Desktop) -> Self {
        let service = connection::Builder::address(desktop.bus().as_str()).expect("an address");
        let service = service.name("org.freedesktop.NetworkManager").expect("a name");
        let service = service.serve_at(PATH, Manager { metered: 1 }).expect("a manager");
        Self(service.build().expect("the bus"))
    }

    /// Makes the network unmetered.
    pub fn set_unmetered(&self) {
        self.0.object_server().interface::<_, Manager>(PATH).expect("the manager").get_mut().metered = 2;
    }
}
