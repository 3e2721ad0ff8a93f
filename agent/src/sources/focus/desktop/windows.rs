//! Windows: the foreground window by a hook on system events, input by `GetLastInputInfo`, the
//! session by its state and by the notifications of Remote Desktop Services, which the console
//! session sends too.
//!
//! Everything is used on the thread that opens it, because hooks and notifications are delivered to
//! the thread that fetches messages.

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
use super::{Desktop, DesktopSnapshot, Presence, Waker, Wakeup, Window};
use crate::session::SessionState;

/// Interval at which an idle user's return is detected, for input that raises no event. The system
/// reports the time of the last input, not of the first one after a break.
const IDLE_POLL: Duration = Duration::from_secs(1);
/// Maximum length of a title or class name that is read, in UTF-16 units.
const MAX_TEXT_UNITS: usize = 512;
/// `SessionFlags` of `WTSINFOEX_LEVEL1` for a locked session (Win32 documentation,
/// `WTSINFOEX_LEVEL1_W`).
const SESSION_LOCKED: i32 = 0;

struct Win32 {
    hooks: [HWINEVENTHOOK; 2],
    /// Receives the session notifications.
    listener: HWND,
    _display: Option<Display>,
    /// The foreground window at the last snapshot.
    foreground: HWND,
}

/// Opens the desktop of this session.
pub(super) fn open() -> Result<(Box<dyn Desktop>, Waker), String> {
    let hook = |event| {
        // SAFETY: the callback is a function of this program, which outlives the hook; out of
        // context, nothing is loaded into other processes.
        let hook = unsafe { SetWinEventHook(event, event, None, Some(on_event), 0, 0, WINEVENT_OUTOFCONTEXT) };
        if hook.is_invalid() {
            Err("the system does not allow listening for changes of the foreground window".to_owned())
        } else {
            Ok(hook)
        }
    };
    let hooks = [hook(EVENT_SYSTEM_FOREGROUND)?, hook(EVENT_SYSTEM_DESKTOPSWITCH)?];
    // SAFETY: the class is one of the system's own and all texts are constants; the window is
    // destroyed by `drop`, on the thread that created it.
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
    let listener = listener.map_err(|error| format!("failed to create the notification window: {error}"))?;
    // SAFETY: the window belongs to this thread.
    if let Err(error) = unsafe { WTSRegisterSessionNotification(listener, NOTIFY_FOR_THIS_SESSION) } {
        tracing::debug!("failed to register for session notifications: {error:#}; only the poll finds locks");
    }
    // SAFETY: has no parameters.
    let thread = unsafe { GetCurrentThreadId() };
    let waker = Box::new(move || {
        // SAFETY: if the thread has ended in the meantime, the call fails and nothing else happens.
        // Its id is not reused while its handle is open, and the owner joins the thread after this
        // call.
        if let Err(error) = unsafe { PostThreadMessageW(thread, WM_QUIT, WPARAM(0), LPARAM(0)) } {
            tracing::debug!("failed to wake the focus thread, which has ended by itself: {error:#}");
        }
    });
    Ok((Box::new(Win32 { hooks, listener, _display: Display::listen(thread), foreground: HWND::default() }), waker))
}

/// Does nothing: the call itself ends the wait, and then a snapshot is taken.
unsafe extern "system" fn on_event(_: HWINEVENTHOOK, _: u32, _: HWND, _: i32, _: i32, _: u32, _: u32) {}

impl Desktop for Win32 {
    fn wait(&mut self, timeout: Duration, is_idle: bool) -> Wakeup {
        let timeout = if is_idle { timeout.min(IDLE_POLL) } else { timeout };
        let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX - 1);
        // SAFETY: waits for no handles, only for messages of this thread.
        let woken = unsafe { MsgWaitForMultipleObjectsEx(None, timeout, QS_ALLINPUT, MWMO_INPUTAVAILABLE) };
        if woken == WAIT_TIMEOUT {
            return Wakeup::Timeout;
        }
        let mut message = MSG::default();
        // SAFETY: `message` lives through the calls. Fetching messages runs the callbacks of the
        // hooks.
        while unsafe { PeekMessageW(&raw mut message, None, 0, 0, PM_REMOVE) }.as_bool() {
            if message.message == WM_QUIT {
                return Wakeup::Shutdown;
            }
            // SAFETY: the message was just fetched.
            unsafe { DispatchMessageW(&raw const message) };
        }
        // SAFETY: any value may be passed.
        let exists = self.foreground.is_invalid() || unsafe { IsWindow(Some(self.foreground)) }.as_bool();
        if exists { Wakeup::Changed } else { Wakeup::WindowsChanged }
    }

    fn snapshot(&mut self) -> DesktopSnapshot {
        let presence = match session() {
            Some(absence) => Presence::Absent(absence),
            None if Display::is_off() => Presence::Absent(SessionState::Idle),
            None => Presence::Present(since_input()),
        };
        // SAFETY: has no parameters; if the window closes before the next call, that call fails.
        let foreground = unsafe { GetForegroundWindow() };
        self.foreground = foreground;
        if foreground.is_invalid() {
            return DesktopSnapshot { presence, foreground: None, hangs: false };
        }
        // SAFETY: as above.
        let hangs = unsafe { IsHungAppWindow(foreground) }.as_bool();
        DesktopSnapshot { presence, foreground: Some(window(foreground)), hangs }
    }

    fn windows(&mut self, known: &[u64]) -> Vec<Window> {
        let mut found: Vec<HWND> = Vec::new();
        // SAFETY: the callback gets the address of the vector and is only called before this call
        // returns.
        let listed = unsafe { EnumWindows(Some(collect), LPARAM(&raw mut found as isize)) };
        if let Err(error) = listed {
            tracing::debug!("failed to list the windows: {error:#}");
        }
        let hidden = known
            .iter()
            .filter_map(|id| usize::try_from(*id).ok())
            .map(|id| HWND(std::ptr::without_provenance_mut(id)));
        // SAFETY: any value may be passed.
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
        // SAFETY: all of it was created by this thread and is released once. A call fails only if
        // the object no longer exists.
        unsafe {
            for hook in self.hooks {
                let _ = UnhookWinEvent(hook);
            }
            let _ = WTSUnRegisterSessionNotification(self.listener);
            let _ = DestroyWindow(self.listener);
        }
    }
}

/// Collects the windows that are visible to the user: shown, not owned by another window (dialogs),
/// and no tool windows.
unsafe extern "system" fn collect(window: HWND, found: LPARAM) -> BOOL {
    // SAFETY: `found` is the address of the caller's vector, which nothing else uses in the
    // meantime; the calls accept any window.
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
    let (mut pid, mut title, mut class) = (0, [0; MAX_TEXT_UNITS], [0; MAX_TEXT_UNITS]);
    // SAFETY: the buffers live through the calls, which know their lengths. The title of another
    // process' window is read from the system's memory without sending a message, so a hung window
    // does not block the agent.
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

/// Returns why the user cannot be at the session, if so.
fn session() -> Option<SessionState> {
    let (mut buffer, mut bytes) = (PWSTR::null(), 0);
    // SAFETY: both live through the call; the memory that it allocates is freed below, once.
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
    // SAFETY: the structure lives through the call and contains its size.
    let (known, now) = unsafe { (GetLastInputInfo(&raw mut info).as_bool(), GetTickCount()) };
    // The tick counter wraps around after 49.7 days; the wrapping difference is still correct.
    if known { Duration::from_millis(now.wrapping_sub(info.dwTime).into()) } else { Duration::ZERO }
}
