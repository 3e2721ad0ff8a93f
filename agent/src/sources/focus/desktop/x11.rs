//! X11: the window manager's properties of the root window (Extended Window Manager Hints 1.5), input and screen saver by
//! MIT-SCREEN-SAVER, the end of idleness by an alarm of the SYNC extension on its counter `IDLETIME`.
//!
//! A window that dies in front raises no event of the root window and leaves its number there: it is watched itself, and
//! one that cannot be read is none. A screen saver that is on counts as the lock: X11 knows no other; [`super::logind`]
//! does. While the display is off (DPMS) nobody is at work.

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
use super::ping::{Do, Ping};
use super::{Desktop, Look, Presence, Wake, Waker, Window};
use crate::session::SessionState;

/// Input makes the idle counter fall below this, in milliseconds: the alarm goes off with it.
const BACK_MS: u32 = 1000;
/// Most of a text property that is read, in units of four bytes.
const MOST_TEXT: u32 = 256;
/// Most windows that are listed, in the units of the property.
const MOST_WINDOWS: u32 = 4096;

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
pub(super) enum OpenError {
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
    /// Readable once the source ends.
    ended: OwnedFd,
    logind: Logind,
    /// Readable once logind has told something.
    told: OwnedFd,
    ping: Ping,
    can_switch_off: bool,
    /// The window in front, which tells of its end.
    watched: Option<u32>,
    idle_counter: Option<u32>,
    alarm: Option<u32>,
    /// Why nothing can be seen any more.
    problem: Option<String>,
}

/// Opens the display that the environment names.
pub(super) fn open() -> Result<(Box<dyn Desktop>, Waker), OpenError> {
    let (connection, screen) = x11rb::connect(None)?;
    let root = connection.setup().roots.get(screen).map_or(0, |screen| screen.root);
    let atoms = Atoms::new(&connection)?.reply()?;
    let wanted = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    connection.change_window_attributes(root, &wanted)?.check()?;
    connection.screensaver_select_input(root, screensaver::Event::NOTIFY_MASK)?.check()?;
    connection.sync_initialize(3, 1)?.reply()?;
    let counters = connection.sync_list_system_counters()?.reply()?.counters;
    let idle_counter = counters.iter().find(|counter| counter.name == b"IDLETIME").map(|counter| counter.counter);
    let can_switch_off = connection.extension_information(dpms::X11_EXTENSION_NAME)?.is_some();
    let (ended, end) = bell()?;
    let waker = Box::new(move || ring(&end));
    let (told, tell) = bell()?;
    let desktop = X11 {
        connection,
        root,
        atoms,
        ended,
        logind: Logind::follow(move || ring(&tell)),
        told,
        ping: Ping::default(),
        can_switch_off,
        watched: None,
        idle_counter,
        alarm: None,
        problem: None,
    };
    Ok((Box::new(desktop), waker))
}

/// Two handles of what becomes readable once it is rung.
fn bell() -> Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let other = bell.try_clone();
    Ok((bell, other.map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?))
}

fn ring(bell: &OwnedFd) {
    // It fails only when the counter is full, and then it is readable.
    let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
}

impl X11 {
    /// What waits in the connection, as one answer.
    fn events(&mut self) -> Option<Wake> {
        let mut found = None;
        loop {
            match self.connection.poll_for_event() {
                Ok(Some(event)) => found = found.max(self.meaning(&event)),
                Ok(None) => return found,
                Err(error) => {
                    self.problem = Some(format!("the display is gone: {error}"));
                    return Some(Wake::Changed);
                }
            }
        }
    }

    fn meaning(&mut self, event: &Event) -> Option<Wake> {
        match event {
            Event::PropertyNotify(event) if event.window == self.root => match event.atom {
                atom if atom == self.atoms._NET_ACTIVE_WINDOW => Some(Wake::Changed),
                atom if atom == self.atoms._NET_CLIENT_LIST => Some(Wake::Windows),
                _ => None,
            },
            Event::PropertyNotify(event) => {
                let title = [self.atoms._NET_WM_NAME, AtomEnum::WM_NAME.into()].contains(&event.atom);
                title.then_some(Wake::Changed)
            }
            Event::DestroyNotify(event) if Some(event.window) == self.watched => Some(Wake::Windows),
            Event::UnmapNotify(event) if Some(event.window) == self.watched => Some(Wake::Changed),
            Event::ScreensaverNotify(_) | Event::SyncAlarmNotify(_) => Some(Wake::Changed),
            Event::ClientMessage(message) if message.type_ == self.atoms.WM_PROTOCOLS => {
                let [protocol, _, window, ..] = message.data.as_data32();
                self.answered(protocol, window)
            }
            _ => None,
        }
    }

    /// A window has answered, or somebody else has asked one.
    fn answered(&mut self, protocol: Atom, window: u32) -> Option<Wake> {
        let (now, hung) = (Instant::now(), self.ping.hangs(Instant::now()));
        let is_it = protocol == self.atoms._NET_WM_PING && self.ping.answer(window, now);
        // If it cannot be sent, the next look finds out.
        let _ = is_it.then(|| self.listen_to_answers(false));
        (is_it && hung).then_some(Wake::Changed)
    }

    /// Answers go to the root window, as does what every other window does: they are listened to only while one is due.
    fn listen_to_answers(&self, wanted: bool) -> Result<(), ConnectionError> {
        let answers = if wanted { EventMask::SUBSTRUCTURE_NOTIFY } else { EventMask::NO_EVENT };
        let wanted = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE | answers);
        self.connection.change_window_attributes(self.root, &wanted)?;
        Ok(())
    }

    /// Whether the window in front has stopped to answer. One that knows nothing of the question is never asked.
    fn hangs(&mut self, front: Option<u32>) -> Result<bool, OpenError> {
        let now = Instant::now();
        match self.ping.front(front, now) {
            Do::Nothing => {}
            Do::Forget => self.listen_to_answers(false)?,
            Do::Ask => {
                let Some(window) = front else { return Ok(false) };
                let protocols = self.numbers(window, self.atoms.WM_PROTOCOLS, 16).unwrap_or_default();
                if !protocols.contains(&self.atoms._NET_WM_PING) {
                    self.ping.answer(window, now);
                    return Ok(false);
                }
                self.listen_to_answers(true)?;
                let question = [self.atoms._NET_WM_PING, x11rb::CURRENT_TIME, window, 0, 0];
                let message = ClientMessageEvent::new(32, window, self.atoms.WM_PROTOCOLS, question);
                self.connection.send_event(false, window, EventMask::NO_EVENT, message)?;
            }
        }
        Ok(self.ping.hangs(now))
    }

    /// Whether the display is off.
    fn is_dark(&self) -> Result<bool, OpenError> {
        if !self.can_switch_off {
            return Ok(false);
        }
        let power = self.connection.dpms_info()?.reply()?;
        Ok(power.state && power.power_level != DPMSMode::ON)
    }

    /// Lets the next input raise an event, or not any more.
    fn await_input(&mut self, wanted: bool) -> Result<(), OpenError> {
        match (self.alarm, self.idle_counter) {
            (None, Some(counter)) if wanted => {
                let alarm = self.connection.generate_id()?;
                let values = CreateAlarmAux::new()
                    .counter(counter)
                    .value_type(VALUETYPE::ABSOLUTE)
                    .value(Int64 { hi: 0, lo: BACK_MS })
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

    fn numbers(&self, window: u32, property: Atom, most: u32) -> Result<Vec<u32>, ReplyError> {
        let reply = self.connection.get_property(false, window, property, AtomEnum::ANY, 0, most)?.reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }

    fn text(&self, window: u32, property: Atom) -> Result<String, ReplyError> {
        let reply = self.connection.get_property(false, window, property, AtomEnum::ANY, 0, MOST_TEXT)?.reply()?;
        if reply.type_ == self.atoms.UTF8_STRING {
            return Ok(String::from_utf8_lossy(&reply.value).into_owned());
        }
        // The old type STRING is Latin-1 (ICCCM 2.7.1), whose bytes are the first code points.
        Ok(reply.value.iter().copied().map(char::from).collect())
    }

    fn window(&self, id: u32) -> Result<Window, ReplyError> {
        // Fails if there is no such window: a property that is not there does not.
        let pid = self.numbers(id, self.atoms._NET_WM_PID, 1)?.first().copied().unwrap_or_default();
        let title = match self.text(id, self.atoms._NET_WM_NAME)? {
            title if title.is_empty() => self.text(id, AtomEnum::WM_NAME.into())?,
            title => title,
        };
        // Two texts, each ended by a zero: instance and class (ICCCM 4.1.2.5).
        let class = self.text(id, AtomEnum::WM_CLASS.into())?;
        let class = class.split('\0').nth(1).unwrap_or_default().to_owned();
        Ok(Window { id: id.into(), pid, title, class })
    }

    fn front(&mut self) -> Result<Option<Window>, OpenError> {
        let id = self.numbers(self.root, self.atoms._NET_ACTIVE_WINDOW, 1)?.first().copied();
        let id = id.filter(|id| *id != 0);
        if id != self.watched {
            let watch = |mask| ChangeWindowAttributesAux::new().event_mask(mask);
            if let Some(old) = self.watched {
                // It may be gone, which comes as an event that nobody waits for.
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

    fn seen(&mut self) -> Result<Look, OpenError> {
        let input = self.connection.screensaver_query_info(self.root)?.reply()?;
        let presence = if let Some(away) = self.logind.away() {
            Presence::Away(away)
        } else if Saver::from(input.state) == Saver::ON {
            Presence::Away(SessionState::Locked)
        } else if self.is_dark()? {
            Presence::Away(SessionState::Idle)
        } else {
            Presence::Here(Duration::from_millis(input.ms_since_user_input.into()))
        };
        let front = self.front()?;
        let hangs = self.hangs(self.watched.filter(|_| front.is_some()))?;
        Ok(Look { presence, front, hangs })
    }

    /// Sleeps until something happens, at most so long.
    fn rest(&mut self, limit: Duration) -> Wake {
        let timeout = Timespec::try_from(limit).ok();
        let mut ready = vec![PollFd::new(&self.ended, PollFlags::IN), PollFd::new(&self.told, PollFlags::IN)];
        if self.problem.is_none() {
            ready.push(PollFd::from_borrowed_fd(self.connection.stream().as_fd(), PollFlags::IN));
        }
        // A signal ends the wait as well; then it is looked once more than needed.
        let _ = poll(&mut ready, timeout.as_ref());
        let rung = |index: usize| ready.get(index).is_some_and(|bell: &PollFd<'_>| !bell.revents().is_empty());
        let (ended, told) = (rung(0), rung(1));
        if ended {
            return Wake::Ended;
        }
        let found = if self.problem.is_none() { self.events() } else { None };
        // Emptied, so that it can be rung again.
        let told = told && rustix::io::read(&self.told, &mut [0; 8]).is_ok();
        found.max(told.then_some(Wake::Changed)).unwrap_or(Wake::Nothing)
    }

    fn is_of_people(&self, id: u32) -> bool {
        let types = self.numbers(id, self.atoms._NET_WM_WINDOW_TYPE, 8).unwrap_or_default();
        let furniture = [self.atoms._NET_WM_WINDOW_TYPE_DOCK, self.atoms._NET_WM_WINDOW_TYPE_DESKTOP];
        !types.iter().any(|of| furniture.contains(of))
    }
}

impl Desktop for X11 {
    fn wait(&mut self, limit: Duration, is_idle: bool) -> Wake {
        if self.problem.is_none() {
            if let Some(found) = self.events() {
                return found;
            }
            let prepared = self.await_input(is_idle).and_then(|()| Ok(self.connection.flush()?));
            if let Err(error) = prepared {
                self.problem = Some(format!("the display is gone: {error}"));
            }
        }
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.rest(left) {
                // An event that means nothing: a window moved while an answer was due.
                Wake::Nothing if self.problem.is_none() && Instant::now() < until => {}
                woken => return woken,
            }
        }
    }

    fn look(&mut self) -> Look {
        if self.problem.is_none() {
            match self.seen() {
                Ok(look) => return look,
                Err(error) => self.problem = Some(format!("the display does not answer: {error}")),
            }
        }
        Look { presence: Presence::Away(SessionState::Unknown), front: None, hangs: false }
    }

    fn windows(&mut self, known: &[u64]) -> Vec<Window> {
        let mut ids = self.numbers(self.root, self.atoms._NET_CLIENT_LIST, MOST_WINDOWS).unwrap_or_default();
        ids.retain(|id| self.is_of_people(*id));
        let hidden: Vec<u32> =
            known.iter().filter_map(|id| u32::try_from(*id).ok()).filter(|id| !ids.contains(id)).collect();
        ids.into_iter().chain(hidden).filter_map(|id| self.window(id).ok()).collect()
    }

    fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
