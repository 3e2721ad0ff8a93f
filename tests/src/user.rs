//! Somebody at a desktop: real windows under its window manager, real input by XTEST.

use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, MOTION_NOTIFY_EVENT, PropMode,
    ScreenSaver, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::desktop::Desktop;
use crate::wait_for;

/// Pause between two inputs of somebody at work.
const TYPING: Duration = Duration::from_millis(150);

x11rb::atom_manager! {
    /// Atoms of properties and messages.
    Atoms: AtomsCookie { _NET_ACTIVE_WINDOW, _NET_CLIENT_LIST, _NET_WM_NAME, _NET_WM_PID, UTF8_STRING, }
}

/// The user.
#[derive(Debug)]
pub struct User {
    connection: RustConnection,
    root: u32,
    atoms: Atoms,
    moved: bool,
}

/// When something happened: not before the first, not after the second.
pub type When = (Instant, Instant);

impl User {
    /// Sits down.
    #[must_use]
    pub fn at(desktop: &Desktop) -> Self {
        let (connection, screen) = x11rb::connect(Some(&desktop.display())).expect("the display");
        let root = connection.setup().roots[screen].root;
        let atoms = Atoms::new(&connection).expect("atoms").reply().expect("atoms");
        wait_for("the window manager", || {
            let list = connection.get_property(false, root, atoms._NET_CLIENT_LIST, AtomEnum::ANY, 0, 1);
            list.ok()?.reply().ok().filter(|reply| reply.type_ != 0)
        });
        Self { connection, root, atoms, moved: false }
    }

    /// Opens a window of a process.
    #[must_use]
    pub fn open(&self, title: &str, process: u32) -> u32 {
        let (id, atoms, connection) = (self.connection.generate_id().expect("an id"), &self.atoms, &self.connection);
        let values = CreateWindowAux::new();
        let created =
            connection.create_window(0, id, self.root, 50, 50, 300, 200, 0, WindowClass::INPUT_OUTPUT, 0, &values);
        created.expect("a window");
        let text = |property, kind, text: &str| {
            connection.change_property8(PropMode::REPLACE, id, property, kind, text.as_bytes()).expect("a property");
        };
        text(atoms._NET_WM_NAME, atoms.UTF8_STRING, title);
        text(AtomEnum::WM_CLASS.into(), AtomEnum::STRING.into(), "test\0Test\0");
        let pid =
            connection.change_property32(PropMode::REPLACE, id, atoms._NET_WM_PID, AtomEnum::CARDINAL, &[process]);
        pid.expect("a property");
        connection.map_window(id).expect("a window");
        connection.flush().expect("the display");
        wait_for("the window", || {
            let list = connection.get_property(false, self.root, atoms._NET_CLIENT_LIST, AtomEnum::ANY, 0, 1000);
            let list = list.ok()?.reply().ok()?;
            list.value32()?.any(|listed| listed == id).then_some(())
        });
        id
    }

    /// Gives a window another title.
    pub fn rename(&self, window: u32, title: &str) {
        let atoms = &self.atoms;
        let bytes = title.as_bytes();
        let changed =
            self.connection.change_property8(PropMode::REPLACE, window, atoms._NET_WM_NAME, atoms.UTF8_STRING, bytes);
        changed.expect("a title");
        self.connection.flush().expect("the display");
    }

    /// Closes a window.
    pub fn close(&self, window: u32) {
        self.connection.destroy_window(window).expect("a window");
        self.connection.flush().expect("the display");
    }

    /// Brings a window to the front, with a click or so.
    pub fn switch_to(&mut self, window: u32) -> When {
        let began = Instant::now();
        let message = ClientMessageEvent::new(32, window, self.atoms._NET_ACTIVE_WINDOW, [2, 0, 0, 0, 0]);
        let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        self.connection.send_event(false, self.root, mask, message).expect("a message");
        self.connection.flush().expect("the display");
        wait_for("the window in front", || (self.front()? == window).then_some(()));
        (began, self.input().1)
    }

    /// How many windows have a title.
    #[must_use]
    pub fn windows_named(&self, title: &str) -> usize {
        let list = self.connection.get_property(false, self.root, self.atoms._NET_CLIENT_LIST, AtomEnum::ANY, 0, 1000);
        let list = list.expect("the display").reply().expect("the list of windows");
        let has_title = |window: &u32| {
            let name = self.connection.get_property(false, *window, self.atoms._NET_WM_NAME, AtomEnum::ANY, 0, 100);
            name.ok().and_then(|name| name.reply().ok()).is_some_and(|name| name.value == title.as_bytes())
        };
        list.value32().into_iter().flatten().filter(has_title).count()
    }

    fn front(&self) -> Option<u32> {
        let front = self.connection.get_property(false, self.root, self.atoms._NET_ACTIVE_WINDOW, AtomEnum::ANY, 0, 1);
        front.ok()?.reply().ok()?.value32()?.next()
    }

    /// Moves the mouse a bit.
    pub fn input(&mut self) -> When {
        let began = Instant::now();
        self.moved = !self.moved;
        let x = if self.moved { 400 } else { 401 };
        let moved = self.connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, self.root, x, 400, 0);
        moved.expect("XTEST").check().expect("XTEST");
        (began, Instant::now())
    }

    /// Works for a while.
    pub fn work(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let _ = self.input();
            std::thread::sleep(TYPING);
        }
    }

    /// Turns the screen saver on.
    pub fn lock(&self) -> When {
        let began = Instant::now();
        self.connection.force_screen_saver(ScreenSaver::ACTIVE).expect("a message").check().expect("a screen saver");
        (began, Instant::now())
    }
}
