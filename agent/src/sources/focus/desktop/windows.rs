//! Windows: the foreground by a hook on the system's events, input by `GetLastInputInfo`, the session by its own state
//! and the notifications of Remote Desktop Services, which the console has as well.
//!
//! All of it lives on the thread that opens it: hooks call back, and notifications come, where messages are fetched.

#![allow(unsafe_code)]

use std::time::Duration;

use windows::Win32::Foundation::{HANDLE, HWND, LPARAM, WAIT_TIMEOUT, WPARAM};
use windows::Win32::System::RemoteDesktop::{
    NOTIFY_FOR_THIS_SESSION, WTS_CURRENT_SESSION, WTSActive, WTSFreeMemory, WTSINFOEXW, WTSQuerySessionInformationW,
    WTSRegisterSessionNotification, WTSSessionInfoEx, WTSUnRegisterSessionNotification,
};
use windows::Win32::System::SystemInformation::GetTickCount;
use windows::Win32::System::Threading::GetCurrentThreadId;
use windows::Win32::UI::Accessibility::{HWINEVENTHOOK, SetWinEventHook, UnhookWinEvent};
use windows::Win32::UI::Input::KeyboardAndMouse::{GetLastInputInfo, LASTINPUTINFO};
use windows::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DestroyWindow, DispatchMessageW, EVENT_SYSTEM_DESKTOPSWITCH, EVENT_SYSTEM_FOREGROUND, EnumWindows,
    GW_OWNER, GWL_EXSTYLE, GetClassNameW, GetForegroundWindow, GetWindow, GetWindowLongW, GetWindowTextW,
    GetWindowThreadProcessId, HWND_MESSAGE, IsHungAppWindow, IsWindow, IsWindowVisible, MSG, MWMO_INPUTAVAILABLE,
    MsgWaitForMultipleObjectsEx, PM_REMOVE, PeekMessageW, PostThreadMessageW, QS_ALLINPUT, WINDOW_STYLE,
    WINEVENT_OUTOFCONTEXT, WM_QUIT, WS_EX_TOOLWINDOW,
};
use windows::core::{BOOL, PWSTR, w};

use super::display::Display;
use super::{Desktop, Look, Presence, Wake, Waker, Window};
use crate::session::SessionState;

/// How often it is looked whether somebody is back, who moves nothing that raises an event. The system tells the time of
/// the last input, not of the first one after a break.
const IDLE_POLL: Duration = Duration::from_secs(1);
/// Longest text of a window that is read, in UTF-16 units.
const MOST_TEXT: usize = 512;
/// `SessionFlags` of `WTSINFOEX_LEVEL1` for a locked session (Win32 documentation, `WTSINFOEX_LEVEL1_W`).
const SESSION_LOCKED: i32 = 0;

struct Win32 {
    hooks: [HWINEVENTHOOK; 2],
    /// Gets the notifications of the session.
    listener: HWND,
    _display: Option<Display>,
    /// The window in front at the last look.
    front: HWND,
}

/// Opens the desktop of this session.
pub(super) fn open() -> Result<(Box<dyn Desktop>, Waker), String> {
    let hook = |event| {
        // SAFETY: the callback is a function of this program, which outlives the hook; out of context, nothing is loaded
        // into other processes.
        let hook = unsafe { SetWinEventHook(event, event, None, Some(on_event), 0, 0, WINEVENT_OUTOFCONTEXT) };
        if hook.is_invalid() {
            Err("the system lets nobody listen to changes of the foreground".to_owned())
        } else {
            Ok(hook)
        }
    };
    let hooks = [hook(EVENT_SYSTEM_FOREGROUND)?, hook(EVENT_SYSTEM_DESKTOPSWITCH)?];
    // SAFETY: the class is one of the system's own, all texts are constants; the window is destroyed by `drop`, on the
    // thread that made it.
    let listener = unsafe {
        CreateWindowExW(
            windows::Win32::UI::WindowsAndMessaging::WINDOW_EX_STYLE(0),
            w!("STATIC"),
            w!(""),
            WINDOW_STYLE(0),
            0,
            0,
            0,
            0,
            Some(HWND_MESSAGE),
            None,
            None,
            None,
        )
    };
    let listener = listener.map_err(|error| format!("no window can be made: {error}"))?;
    // SAFETY: the window is this thread's own.
    if let Err(error) = unsafe { WTSRegisterSessionNotification(listener, NOTIFY_FOR_THIS_SESSION) } {
        tracing::debug!(%error, "locks are found by the poll only");
    }
    // SAFETY: takes nothing.
    let thread = unsafe { GetCurrentThreadId() };
    let waker = Box::new(move || {
        // SAFETY: a thread that has ended meanwhile makes the call fail, nothing else; its number is not given to another
        // one while its handle is open, which its owner joins after this.
        if let Err(error) = unsafe { PostThreadMessageW(thread, WM_QUIT, WPARAM(0), LPARAM(0)) } {
            tracing::debug!(%error, "the focus source has ended by itself");
        }
    });
    Ok((Box::new(Win32 { hooks, listener, _display: Display::listen(thread), front: HWND::default() }), waker))
}

/// That it was called has ended the wait; it is looked at the desktop then.
unsafe extern "system" fn on_event(_: HWINEVENTHOOK, _: u32, _: HWND, _: i32, _: i32, _: u32, _: u32) {}

impl Desktop for Win32 {
    fn wait(&mut self, limit: Duration, is_idle: bool) -> Wake {
        let limit = if is_idle { limit.min(IDLE_POLL) } else { limit };
        let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX - 1);
        // SAFETY: waits for no handles, only for messages of this thread.
        let woken = unsafe { MsgWaitForMultipleObjectsEx(None, limit, QS_ALLINPUT, MWMO_INPUTAVAILABLE) };
        if woken == WAIT_TIMEOUT {
            return Wake::Nothing;
        }
        let mut message = MSG::default();
        // SAFETY: `message` lives through the calls. Fetching is what runs the callbacks of the hooks.
        while unsafe { PeekMessageW(&raw mut message, None, 0, 0, PM_REMOVE) }.as_bool() {
            if message.message == WM_QUIT {
                return Wake::Ended;
            }
            // SAFETY: the message was just fetched.
            unsafe { DispatchMessageW(&raw const message) };
        }
        // SAFETY: any number may be asked for.
        let is_there = self.front.is_invalid() || unsafe { IsWindow(Some(self.front)) }.as_bool();
        if is_there { Wake::Changed } else { Wake::Windows }
    }

    fn look(&mut self) -> Look {
        let presence = match session() {
            Some(away) => Presence::Away(away),
            None if Display::is_dark() => Presence::Away(SessionState::Idle),
            None => Presence::Here(since_input()),
        };
        // SAFETY: takes nothing; a window that is gone by the next call makes that fail.
        let front = unsafe { GetForegroundWindow() };
        self.front = front;
        if front.is_invalid() {
            return Look { presence, front: None, hangs: false };
        }
        // SAFETY: as above.
        let hangs = unsafe { IsHungAppWindow(front) }.as_bool();
        Look { presence, front: Some(window(front)), hangs }
    }

    fn windows(&mut self, known: &[u64]) -> Vec<Window> {
        let mut found: Vec<HWND> = Vec::new();
        // SAFETY: the callback gets the vector's address and is called before this call returns only.
        let listed = unsafe { EnumWindows(Some(collect), LPARAM(&raw mut found as isize)) };
        if let Err(error) = listed {
            tracing::debug!(%error, "windows cannot be listed");
        }
        let hidden = known
            .iter()
            .filter_map(|id| usize::try_from(*id).ok())
            .map(|id| HWND(std::ptr::without_provenance_mut(id)));
        // SAFETY: any number may be asked for.
        let hidden = hidden.filter(|hidden| !found.contains(hidden) && unsafe { IsWindow(Some(*hidden)) }.as_bool());
        let hidden: Vec<HWND> = hidden.collect();
        found.into_iter().chain(hidden).map(window).collect()
    }

    fn problem(&self) -> Option<&str> {
        None
    }
}

impl Drop for Win32 {
    fn drop(&mut self) {
        // SAFETY: all of it was made by this thread and is let go of once. What fails is gone already.
        unsafe {
            for hook in self.hooks {
                let _ = UnhookWinEvent(hook);
            }
            let _ = WTSUnRegisterSessionNotification(self.listener);
            let _ = DestroyWindow(self.listener);
        }
    }
}

/// Takes the windows that people see as such: shown, nobody's dialog, no palette.
unsafe extern "system" fn collect(window: HWND, found: LPARAM) -> BOOL {
    // SAFETY: `found` is the address of the caller's vector, which is used by nobody else meanwhile; the calls take any
    // window.
    unsafe {
        let found = &mut *(found.0 as *mut Vec<HWND>);
        let is_owned = GetWindow(window, GW_OWNER).is_ok_and(|owner| !owner.is_invalid());
        let is_tool = GetWindowLongW(window, GWL_EXSTYLE).cast_unsigned() & WS_EX_TOOLWINDOW.0 != 0;
        if IsWindowVisible(window).as_bool() && !is_owned && !is_tool {
            found.push(window);
        }
    }
    BOOL(1)
}

fn window(handle: HWND) -> Window {
    let (mut pid, mut title, mut class) = (0, [0; MOST_TEXT], [0; MOST_TEXT]);
    // SAFETY: the buffers live through the calls, which know their lengths. The title of another process' window is read
    // from the system's memory: no message is sent, so that one that hangs does not hang the agent.
    let (title_length, class_length) = unsafe {
        GetWindowThreadProcessId(handle, Some(&raw mut pid));
        (GetWindowTextW(handle, &mut title), GetClassNameW(handle, &mut class))
    };
    let text = |buffer: &[u16], length: i32| {
        let length = usize::try_from(length).unwrap_or_default().min(buffer.len());
        String::from_utf16_lossy(buffer.get(..length).unwrap_or_default())
    };
    Window { id: handle.0.addr() as u64, pid, title: text(&title, title_length), class: text(&class, class_length) }
}

/// Why nobody can be at the session, if so.
fn session() -> Option<SessionState> {
    let (mut buffer, mut bytes) = (PWSTR::null(), 0);
    // SAFETY: both live through the call; what it allocates is given back below, once.
    unsafe {
        let own = Some(HANDLE::default());
        WTSQuerySessionInformationW(own, WTS_CURRENT_SESSION, WTSSessionInfoEx, &raw mut buffer, &raw mut bytes)
            .ok()?;
        let is_whole = usize::try_from(bytes).is_ok_and(|bytes| bytes >= size_of::<WTSINFOEXW>());
        let info = (is_whole && !buffer.is_null()).then(|| std::ptr::read_unaligned(buffer.0.cast::<WTSINFOEXW>()));
        let state = if let Some(info) = info.filter(|info| info.Level == 1) {
            let level = info.Data.WTSInfoExLevel1;
            if level.SessionState != WTSActive {
                Some(SessionState::Disconnected)
            } else if level.SessionFlags == SESSION_LOCKED {
                Some(SessionState::Locked)
            } else {
                None
            }
        } else {
            None
        };
        WTSFreeMemory(buffer.0.cast());
        state
    }
}

fn since_input() -> Duration {
    let size = u32::try_from(size_of::<LASTINPUTINFO>()).unwrap_or_default();
    let mut info = LASTINPUTINFO { cbSize: size, dwTime: 0 };
    // SAFETY: the structure lives through the call and says its size.
    let (known, now) = unsafe { (GetLastInputInfo(&raw mut info).as_bool(), GetTickCount()) };
    // The counter begins anew after 49.7 days; the difference does not mind.
    if known { Duration::from_millis(now.wrapping_sub(info.dwTime).into()) } else { Duration::ZERO }
}
