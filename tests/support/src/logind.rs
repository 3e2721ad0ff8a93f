//! A fake logind on the bus of a desktop, with one session that can be locked and taken off its
//! seat.

use zbus::blocking::{Connection, connection};
use zbus::zvariant::OwnedObjectPath;

use crate::desktop::Desktop;

/// The path of its only session.
const SESSION: &str = "/org/freedesktop/login1/session/_31";

/// The service. It stops when this is dropped.
#[derive(Debug)]
pub struct Logind(Connection);

struct Manager;

struct Session {
    locked: bool,
    active: bool,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    #[expect(clippy::unused_self, reason = "zbus needs methods")]
    fn get_session(&self, id: &str) -> OwnedObjectPath {
        assert_eq!(id, "auto");
        OwnedObjectPath::try_from(SESSION).expect("a path")
    }
}

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.locked
    }

    #[zbus(property)]
    fn active(&self) -> bool {
        self.active
    }
}

impl Logind {
    /// Starts the service.
    #[must_use]
    pub fn start(desktop: &Desktop) -> Self {
        let service = connection::Builder::address(desktop.bus().as_str()).expect("an address");
        let service = service.name("org.freedesktop.login1").expect("a name");
        let service = service.serve_at("/org/freedesktop/login1", Manager).expect("a manager");
        let service = service.serve_at(SESSION, Session { locked: false, active: true }).expect("a session");
        Self(service.build().expect("the bus"))
    }

    /// Locks or unlocks the session.
    pub fn lock(&self, locked: bool) {
        let session = self.0.object_server().interface::<_, Session>(SESSION).expect("the session");
        session.get_mut().locked = locked;
        let sent = zbus::block_on(session.get().locked_hint_changed(session.signal_emitter()));
        sent.expect("a signal");
    }

    /// Sets whether the session is the one shown on its seat.
    pub fn show(&self, active: bool) {
        let session = self.0.object_server().interface::<_, Session>(SESSION).expect("the session");
        session.get_mut().active = active;
        let sent = zbus::block_on(session.get().active_changed(session.signal_emitter()));
        sent.expect("a signal");
    }
}
