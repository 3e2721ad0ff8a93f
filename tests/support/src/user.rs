//! A simulated user at a desktop: real windows under its window manager, real input by XTEST.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConnectionExt as _, CreateWindowAux,
    EventMask, ImageFormat, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, PropMode, ScreenSaver,
    WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::desktop::Desktop;
use crate::wait_for;

/// Pause between two inputs of a user at work.
/// Time for a menu to be drawn.
const MENU: Duration = Duration::from_millis(700);
const TYPING: Duration = Duration::from_millis(150);

/// Keys, by their numbers on every keyboard of a PC under X.
const LEFT_SHIFT: u8 = 50;
const ESCAPE: u8 = 9;
/// The right mouse button under X.
const RIGHT_BUTTON: u8 = 3;

x11rb::atom_manager! {
    /// Atoms of properties and messages.
    Atoms: AtomsCookie {
        _NET_ACTIVE_WINDOW, _NET_CLIENT_LIST, _NET_WM_NAME, _NET_WM_PID, _NET_WM_PING, UTF8_STRING, WM_PROTOCOLS,
    }
}

/// The user.
#[derive(Debug)]
pub struct User {
    connection: RustConnection,
    root: u32,
    atoms: Atoms,
    moved: bool,
}

/// The time span in which something happened.
pub type When = (Instant, Instant);

/// What a user did. Each activity lasts until the next one starts.
#[derive(Debug, Default)]
pub struct Script(Vec<(When, &'static str)>);

impl Script {
    /// Adds an activity with the time span in which it started.
    pub fn start(&mut self, what: &'static str, when: When) {
        self.0.push((when, what));
    }

    /// Returns the minimum and maximum duration of each activity, in seconds, for an observer who
    /// notices a change with a delay of up to `notice`.
    #[must_use]
    pub fn bounds(&self, notice: Duration) -> BTreeMap<&'static str, (f64, f64)> {
        let mut bounds: BTreeMap<_, (f64, f64)> = BTreeMap::new();
        for pair in self.0.windows(2) {
            let [(started, what), (ended, _)] = pair else { continue };
            let least = ended.0.saturating_duration_since(started.1).saturating_sub(notice);
            let most = ended.1.duration_since(started.0) + notice;
            let sum = bounds.entry(*what).or_default();
            *sum = (sum.0 + least.as_secs_f64(), sum.1 + most.as_secs_f64());
        }
        bounds
    }
}

impl User {
    /// Connects to a desktop, and waits for its window manager.
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

    /// Opens a window that belongs to a process; returns its id.
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

    /// Makes a window declare that it responds to pings of the window manager (`_NET_WM_PING`).
    pub fn promise_answers(&self, window: u32) {
        let (property, ping) = (self.atoms.WM_PROTOCOLS, [self.atoms._NET_WM_PING]);
        let said = self.connection.change_property32(PropMode::REPLACE, window, property, AtomEnum::ATOM, &ping);
        said.expect("a property");
        self.connection.flush().expect("the display");
    }

    /// Responds to the pings that its windows have received so far, as a program does that works;
    /// returns their number.
    pub fn answer(&self) -> usize {
        let mut answers = 0;
        while let Some(event) = self.connection.poll_for_event().expect("the display") {
            if let Event::ClientMessage(mut message) = event
                && message.type_ == self.atoms.WM_PROTOCOLS
            {
                message.window = self.root;
                let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
                self.connection.send_event(false, self.root, mask, message).expect("a message");
                answers += 1;
            }
        }
        self.connection.flush().expect("the display");
        answers
    }

    /// Changes the title of a window.
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

    /// Brings a window to the front, as a click on the taskbar does.
    pub fn switch_to(&mut self, window: u32) -> When {
        let began = Instant::now();
        let message = ClientMessageEvent::new(32, window, self.atoms._NET_ACTIVE_WINDOW, [2, 0, 0, 0, 0]);
        let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        self.connection.send_event(false, self.root, mask, message).expect("a message");
        self.connection.flush().expect("the display");
        wait_for("the window in front", || (self.front()? == window).then_some(()));
        (began, self.input().1)
    }

    /// Returns the number of windows with a title.
    #[must_use]
    pub fn windows_named(&self, title: &str) -> usize {
        self.windows(self.atoms._NET_WM_NAME, |name| name == title.as_bytes()).len()
    }

    /// Waits for a window of a class, and returns its id.
    #[must_use]
    pub fn find(&self, class: &str) -> u32 {
        let is_it = |names: &[u8]| names.split(|byte| *byte == 0).any(|name| name == class.as_bytes());
        wait_for(class, || self.windows(AtomEnum::WM_CLASS.into(), is_it).first().copied())
    }

    /// Returns how many pixels of the screen have a colour (0xRRGGBB).
    #[must_use]
    pub fn pixels(&self, colour: u32) -> usize {
        let size = self.connection.get_geometry(self.root).expect("the display").reply().expect("its size");
        let (all, format) = (u32::MAX, ImageFormat::Z_PIXMAP);
        let image = self.connection.get_image(format, self.root, 0, 0, size.width, size.height, all);
        let image = image.expect("the display").reply().expect("what is on it");
        // Little-endian, 24 bits in 32: the format that the desktop is started with.
        image.data.chunks_exact(4).filter(|pixel| pixel[..3] == colour.to_le_bytes()[..3]).count()
    }

    fn windows(&self, property: u32, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u32> {
        let list = self.connection.get_property(false, self.root, self.atoms._NET_CLIENT_LIST, AtomEnum::ANY, 0, 1000);
        let list = list.expect("the display").reply().expect("the list of windows");
        let is_it = |window: &u32| {
            let value = self.connection.get_property(false, *window, property, AtomEnum::ANY, 0, 100);
            value.ok().and_then(|value| value.reply().ok()).is_some_and(|value| is_wanted(&value.value))
        };
        list.value32().into_iter().flatten().filter(is_it).collect()
    }

    fn front(&self) -> Option<u32> {
        let front = self.connection.get_property(false, self.root, self.atoms._NET_ACTIVE_WINDOW, AtomEnum::ANY, 0, 1);
        front.ok()?.reply().ok()?.value32()?.next()
    }

    /// Moves the mouse by one pixel.
    pub fn input(&mut self) -> When {
        let began = Instant::now();
        self.moved = !self.moved;
        let x = if self.moved { 400 } else { 401 };
        let moved = self.connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, self.root, x, 400, 0);
        moved.expect("XTEST").check().expect("XTEST");
        (began, Instant::now())
    }

    /// Presses the shift key, for the window in front.
    pub fn press(&self) -> When {
        let began = Instant::now();
        for event in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            let pressed = self.connection.xtest_fake_input(event, LEFT_SHIFT, 0, self.root, 0, 0, 0);
            pressed.expect("XTEST").check().expect("XTEST");
        }
        (began, Instant::now())
    }

    /// Opens a menu with the right mouse button, and closes it again when `look` is done.
    pub fn with_menu_at(&self, x: i16, y: i16, look: impl FnOnce()) {
        let input = |event, detail, x, y| {
            let sent = self.connection.xtest_fake_input(event, detail, 0, self.root, x, y, 0);
            sent.expect("XTEST").check().expect("XTEST");
        };
        input(MOTION_NOTIFY_EVENT, 0, x, y);
        input(BUTTON_PRESS_EVENT, RIGHT_BUTTON, 0, 0);
        input(BUTTON_RELEASE_EVENT, RIGHT_BUTTON, 0, 0);
        std::thread::sleep(MENU);
        look();
        input(KEY_PRESS_EVENT, ESCAPE, 0, 0);
        input(KEY_RELEASE_EVENT, ESCAPE, 0, 0);
    }

    /// Types for a while.
    pub fn type_for(&self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let _ = self.press();
            std::thread::sleep(TYPING);
        }
    }

    /// Uses the mouse for a while.
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
