//! X11: the foreground window by the window manager's properties of the root window (Extended
//! Window Manager Hints 1.5), input and screen saver by MIT-SCREEN-SAVER, the return of an idle
//! user by an alarm of the SYNC extension on its counter `IDLETIME`.
//!
//! When the foreground window is destroyed, the root window gets no event and keeps the old window
//! id. The window is therefore watched itself, and a window that cannot be read counts as none. An
//! active screen saver counts as a lock, because X11 has no other notion of one; [`super::logind`]
//! does. While the display is off (DPMS), the user counts as absent.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::dpms::{self, ConnectionExt as _, DPMSMode};
use x11rb::protocol::screensaver::{self, ConnectionExt as _, State as Saver};
use x11rb::protocol::sync::{ConnectionExt as _, CreateAlarmAux, Int64, TESTTYPE, VALUETYPE};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, EventMask,
};
use x11rb::rust_connection::RustConnection;

use super::logind::Logind;
use super::ping::{Ping, PingAction};
use super::{Desktop, DesktopSnapshot, Presence, Waker, Wakeup, Window};
use crate::session::SessionState;

/// Input makes the idle counter fall below this value, in milliseconds, which triggers the alarm.
const IDLE_ALARM_MS: u32 = 1000;
/// Maximum length of a text property that is read, in units of four bytes.
const MAX_TEXT_WORDS: u32 = 256;
/// Maximum number of windows that are listed, in units of the property (four bytes).
const MAX_WINDOWS: u32 = 4096;

x11rb::atom_manager! {
    /// Atoms of the properties.
    Atoms: AtomsCookie {
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_WM_NAME,
        _NET_WM_PID,
        _NET_WM_PING,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DOCK,
        _NET_WM_WINDOW_TYPE_DESKTOP,
        UTF8_STRING,
        WM_PROTOCOLS,
    }
}

/// Why a display cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum X11Error {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error(transparent)]
    Id(#[from] ReplyOrIdError),
    #[error(transparent)]
    System(#[from] rustix::io::Errno),
}

struct X11 {
    connection: RustConnection,
    root: u32,
    atoms: Atoms,
    /// Readable once the source is shutting down.
    shutdown: OwnedFd,
    logind: Logind,
    /// Readable after logind has reported a change.
    logind_changed: OwnedFd,
    ping: Ping,
    has_dpms: bool,
    /// The foreground window, which reports its own end.
    watched: Option<u32>,
    idle_counter: Option<u32>,
    alarm: Option<u32>,
    /// Why the display can no longer be observed.
    problem: Option<String>,
}

/// Opens the display that the environment names.
pub(super) fn open() -> Result<(Box<dyn Desktop>, Waker), X11Error> {
    let (connection, screen) = x11rb::connect(None)?;
    let root = connection.setup().roots.get(screen).map_or(0, |screen| screen.root);
    let atoms = Atoms::new(&connection)?.reply()?;
    let wanted = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    connection.change_window_attributes(root, &wanted)?.check()?;
    connection.screensaver_select_input(root, screensaver::Event::NOTIFY_MASK)?.check()?;
    connection.sync_initialize(3, 1)?.reply()?;
    let counters = connection.sync_list_system_counters()?.reply()?.counters;
    let idle_counter = counters.iter().find(|counter| counter.name == b"IDLETIME").map(|counter| counter.counter);
    let has_dpms = connection.extension_information(dpms::X11_EXTENSION_NAME)?.is_some();
    let (shutdown, waker_event) = event_pair()?;
    let waker = Box::new(move || signal(&waker_event));
    let (logind_changed, logind_event) = event_pair()?;
    let desktop = X11 {
        connection,
        root,
        atoms,
        shutdown,
        logind: Logind::follow(move || signal(&logind_event)),
        logind_changed,
        ping: Ping::default(),
        has_dpms,
        watched: None,
        idle_counter,
        alarm: None,
        problem: None,
    };
    Ok((Box::new(desktop), waker))
}

/// Creates an event descriptor and returns two handles of it. Both are readable once it is
/// signalled.
fn event_pair() -> Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let other = event.try_clone();
    Ok((event, other.map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?))
}

fn signal(event: &OwnedFd) {
    // The write fails only when the counter is full, and then it is readable already.
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}

impl X11 {
    /// Reads all pending events. Returns the most important wakeup.
    fn drain_events(&mut self) -> Option<Wakeup> {
        let mut found = None;
        loop {
            match self.connection.poll_for_event() {
                Ok(Some(event)) => found = found.max(self.interpret(&event)),
                Ok(None) => return found,
                Err(error) => {
                    self.problem = Some(format!("the connection to the display was lost: {error}"));
                    return Some(Wakeup::Changed);
                }
            }
        }
    }

    fn interpret(&mut self, event: &Event) -> Option<Wakeup> {
        match event {
            Event::PropertyNotify(event) if event.window == self.root => match event.atom {
                atom if atom == self.atoms._NET_ACTIVE_WINDOW => Some(Wakeup::Changed),
                atom if atom == self.atoms._NET_CLIENT_LIST => Some(Wakeup::WindowsChanged),
                _ => None,
            },
            Event::PropertyNotify(event) => {
                let title = [self.atoms._NET_WM_NAME, AtomEnum::WM_NAME.into()].contains(&event.atom);
                title.then_some(Wakeup::Changed)
            }
            Event::DestroyNotify(event) if Some(event.window) == self.watched => Some(Wakeup::WindowsChanged),
            Event::UnmapNotify(event) if Some(event.window) == self.watched => Some(Wakeup::Changed),
            Event::ScreensaverNotify(_) | Event::SyncAlarmNotify(_) => Some(Wakeup::Changed),
            Event::ClientMessage(message) if message.type_ == self.atoms.WM_PROTOCOLS => {
                let [protocol, _, window, ..] = message.data.as_data32();
                self.handle_ping_response(protocol, window)
            }
            _ => None,
        }
    }

    /// Handles a ping response, or a ping that another program has sent.
    fn handle_ping_response(&mut self, protocol: Atom, window: u32) -> Option<Wakeup> {
        let (now, hung) = (Instant::now(), self.ping.hangs(Instant::now()));
        let is_pending = protocol == self.atoms._NET_WM_PING && self.ping.record_response(window, now);
        // If the request fails, the next snapshot finds the problem.
        let _ = is_pending.then(|| self.select_ping_responses(false));
        (is_pending && hung).then_some(Wakeup::Changed)
    }

    /// Starts or stops listening for ping responses. They are sent to the root window together with
    /// the events of all other windows, so they are selected only while a response is due.
    fn select_ping_responses(&self, wanted: bool) -> Result<(), ConnectionError> {
        let responses = if wanted { EventMask::SUBSTRUCTURE_NOTIFY } else { EventMask::NO_EVENT };
        let wanted = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE | responses);
        self.connection.change_window_attributes(self.root, &wanted)?;
        Ok(())
    }

    /// Returns whether the foreground window has stopped responding. A window that does not support
    /// the ping protocol is never pinged.
    fn hangs(&mut self, foreground: Option<u32>) -> Result<bool, X11Error> {
        let now = Instant::now();
        match self.ping.set_foreground(foreground, now) {
            PingAction::None => {}
            PingAction::Cancel => self.select_ping_responses(false)?,
            PingAction::Send => {
                let Some(window) = foreground else { return Ok(false) };
                let protocols = self.u32_property(window, self.atoms.WM_PROTOCOLS, 16).unwrap_or_default();
                if !protocols.contains(&self.atoms._NET_WM_PING) {
                    self.ping.record_response(window, now);
                    return Ok(false);
                }
                self.select_ping_responses(true)?;
                let ping = [self.atoms._NET_WM_PING, x11rb::CURRENT_TIME, window, 0, 0];
                let message = ClientMessageEvent::new(32, window, self.atoms.WM_PROTOCOLS, ping);
                self.connection.send_event(false, window, EventMask::NO_EVENT, message)?;
            }
        }
        Ok(self.ping.hangs(now))
    }

    /// Returns whether the display is off.
    fn is_display_off(&self) -> Result<bool, X11Error> {
        if !self.has_dpms {
            return Ok(false);
        }
        let power = self.connection.dpms_info()?.reply()?;
        Ok(power.state && power.power_level != DPMSMode::ON)
    }

    /// Enables or disables an event for the next input.
    fn set_idle_alarm(&mut self, wanted: bool) -> Result<(), X11Error> {
        match (self.alarm, self.idle_counter) {
            (None, Some(counter)) if wanted => {
                let alarm = self.connection.generate_id()?;
                let values = CreateAlarmAux::new()
                    .counter(counter)
                    .value_type(VALUETYPE::ABSOLUTE)
                    .value(Int64 { hi: 0, lo: IDLE_ALARM_MS })
                    .test_type(TESTTYPE::NEGATIVE_TRANSITION)
                    .delta(Int64 { hi: 0, lo: 0 })
                    .events(1);
                self.connection.sync_create_alarm(alarm, &values)?;
                self.alarm = Some(alarm);
            }
            (Some(alarm), _) if !wanted => {
                self.connection.sync_destroy_alarm(alarm)?;
                self.alarm = None;
            }
            _ => {}
        }
        Ok(())
    }

    fn u32_property(&self, window: u32, property: Atom, max_words: u32) -> Result<Vec<u32>, ReplyError> {
        let reply = self.connection.get_property(false, window, property, AtomEnum::ANY, 0, max_words)?.reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }

    fn text_property(&self, window: u32, property: Atom) -> Result<String, ReplyError> {
        let reply = self.connection.get_property(false, window, property, AtomEnum::ANY, 0, MAX_TEXT_WORDS)?.reply()?;
        if reply.type_ == self.atoms.UTF8_STRING {
            return Ok(String::from_utf8_lossy(&reply.value).into_owned());
        }
        // The old type STRING is Latin-1 (ICCCM 2.7.1), whose bytes are the first Unicode code
        // points.
        Ok(reply.value.iter().copied().map(char::from).collect())
    }

    fn window(&self, id: u32) -> Result<Window, ReplyError> {
        // Fails if the window does not exist. A missing property is not an error.
        let pid = self.u32_property(id, self.atoms._NET_WM_PID, 1)?.first().copied().unwrap_or_default();
        let title = match self.text_property(id, self.atoms._NET_WM_NAME)? {
            title if title.is_empty() => self.text_property(id, AtomEnum::WM_NAME.into())?,
            title => title,
        };
        // Two texts, each terminated by a zero: instance and class (ICCCM 4.1.2.5).
        let class = self.text_property(id, AtomEnum::WM_CLASS.into())?;
        let class = class.split('\0').nth(1).unwrap_or_default().to_owned();
        Ok(Window { id: id.into(), pid, title, class })
    }

    fn foreground(&mut self) -> Result<Option<Window>, X11Error> {
        let id = self.u32_property(self.root, self.atoms._NET_ACTIVE_WINDOW, 1)?.first().copied();
        let id = id.filter(|id| *id != 0);
        if id != self.watched {
            let watch = |mask| ChangeWindowAttributesAux::new().event_mask(mask);
            if let Some(old) = self.watched {
                // If the window no longer exists, the error arrives as an event that is ignored.
                self.connection.change_window_attributes(old, &watch(EventMask::NO_EVENT))?;
            }
            if let Some(new) = id {
                let mask = EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY;
                self.connection.change_window_attributes(new, &watch(mask))?;
            }
            self.watched = id;
        }
        match id.map(|id| self.window(id)) {
            None | Some(Err(ReplyError::X11Error(_))) => Ok(None),
            Some(Ok(window)) => Ok(Some(window)),
            Some(Err(error)) => Err(error.into()),
        }
    }

    fn snapshot_display(&mut self) -> Result<DesktopSnapshot, X11Error> {
        let input = self.connection.screensaver_query_info(self.root)?.reply()?;
        let presence = if let Some(absence) = self.logind.absence() {
            Presence::Absent(absence)
        } else if Saver::from(input.state) == Saver::ON {
            Presence::Absent(SessionState::Locked)
        } else if self.is_display_off()? {
            Presence::Absent(SessionState::Idle)
        } else {
            Presence::Present(Duration::from_millis(input.ms_since_user_input.into()))
        };
        let foreground = self.foreground()?;
        let hangs = self.hangs(self.watched.filter(|_| foreground.is_some()))?;
        Ok(DesktopSnapshot { presence, foreground, hangs })
    }

    /// Waits until something happens, at most for `timeout`.
    fn poll_once(&mut self, timeout: Duration) -> Wakeup {
        let timeout = Timespec::try_from(timeout).ok();
        let mut ready =
            vec![PollFd::new(&self.shutdown, PollFlags::IN), PollFd::new(&self.logind_changed, PollFlags::IN)];
        if self.problem.is_none() {
            ready.push(PollFd::from_borrowed_fd(self.connection.stream().as_fd(), PollFlags::IN));
        }
        // A signal also ends the wait; this only causes one extra snapshot.
        let _ = poll(&mut ready, timeout.as_ref());
        let is_signalled =
            |index: usize| ready.get(index).is_some_and(|event: &PollFd<'_>| !event.revents().is_empty());
        let (shutdown, logind_changed) = (is_signalled(0), is_signalled(1));
        if shutdown {
            return Wakeup::Shutdown;
        }
        let found = if self.problem.is_none() { self.drain_events() } else { None };
        // Reset, so that it can be signalled again.
        let logind_changed = logind_changed && rustix::io::read(&self.logind_changed, &mut [0; 8]).is_ok();
        found.max(logind_changed.then_some(Wakeup::Changed)).unwrap_or(Wakeup::Timeout)
    }

    fn is_user_window(&self, id: u32) -> bool {
        let types = self.u32_property(id, self.atoms._NET_WM_WINDOW_TYPE, 8).unwrap_or_default();
        let non_user_types = [self.atoms._NET_WM_WINDOW_TYPE_DOCK, self.atoms._NET_WM_WINDOW_TYPE_DESKTOP];
        !types.iter().any(|kind| non_user_types.contains(kind))
    }
}

impl Desktop for X11 {
    fn wait(&mut self, timeout: Duration, is_idle: bool) -> Wakeup {
        if self.problem.is_none() {
            if let Some(found) = self.drain_events() {
                return found;
            }
            let prepared = self.set_idle_alarm(is_idle).and_then(|()| Ok(self.connection.flush()?));
            if let Err(error) = prepared {
                self.problem = Some(format!("the connection to the display was lost: {error}"));
            }
        }
        let until = Instant::now() + timeout;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.poll_once(left) {
                // An irrelevant event, for example a window that moved while a response was due.
                Wakeup::Timeout if self.problem.is_none() && Instant::now() < until => {}
                woken => return woken,
            }
        }
    }

    fn snapshot(&mut self) -> DesktopSnapshot {
        if self.problem.is_none() {
            match self.snapshot_display() {
                Ok(snapshot) => return snapshot,
                Err(error) => self.problem = Some(format!("the display does not respond: {error}")),
            }
        }
        DesktopSnapshot { presence: Presence::Absent(SessionState::Unknown), foreground: None, hangs: false }
    }

    fn windows(&mut self, known: &[u64]) -> Vec<Window> {
        let mut ids = self.u32_property(self.root, self.atoms._NET_CLIENT_LIST, MAX_WINDOWS).unwrap_or_default();
        ids.retain(|id| self.is_user_window(*id));
        let hidden: Vec<u32> =
            known.iter().filter_map(|id| u32::try_from(*id).ok()).filter(|id| !ids.contains(id)).collect();
        ids.into_iter().chain(hidden).filter_map(|id| self.window(id).ok()).collect()
    }

    fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
