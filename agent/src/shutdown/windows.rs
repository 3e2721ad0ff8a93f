//! Events of the console, and messages to a window that nobody sees.
//!
//! A program that has windows, or only links what draws them, hears of the end of the session by window messages alone
//! (documentation of `SetConsoleCtrlHandler`). Installers and `taskkill` close windows too. So there is a window: a top-level
//! one, because one for messages only is not told of the session's end.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use tokio::signal::windows as console;
use tokio::sync::oneshot;
use windows::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows::Win32::System::LibraryLoader::GetModuleHandleW;
use windows::Win32::System::Recovery::{
    REGISTER_APPLICATION_RESTART_FLAGS, RESTART_NO_CRASH, RESTART_NO_HANG, RESTART_NO_REBOOT,
    RegisterApplicationRestart,
};
use windows::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, MSG, RegisterClassW, WINDOW_EX_STYLE, WM_CLOSE,
    WM_ENDSESSION, WM_QUERYENDSESSION, WNDCLASSW, WS_OVERLAPPED,
};
use windows::core::{HSTRING, PCWSTR, w};

/// Name of the window's class.
const CLASS: PCWSTR = w!("InsightsAgentEnd");
/// How long the end of the session is held up at most: Windows ends the program when the window has answered, and asks the
/// user to when it has not within 5 s. The agent is gone before ([`crate::agent::FLUSH_LIMIT`]), and the window with it.
const HELD_UP: Duration = Duration::from_secs(4);

thread_local! {
    /// Whom the window of this thread tells.
    static ASKED: RefCell<Option<oneshot::Sender<()>>> = const { RefCell::new(None) };
}

/// Completes when the program is asked to end; listens from this call on.
///
/// # Errors
/// When the system does not let it listen.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = console::ctrl_c()?;
    let mut stop = console::ctrl_break()?;
    let mut close = console::ctrl_close()?;
    let mut logoff = console::ctrl_logoff()?;
    let mut shutdown = console::ctrl_shutdown()?;
    let asked = window()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = stop.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
            Ok(()) = asked => {}
        }
    })
}

/// Lets Windows start this program again, without arguments, after an installer has ended it to replace its files. Of use
/// where the installer runs as the system and cannot start anything in the user's session itself.
///
/// # Errors
/// When Windows does not want to.
pub fn start_again_after_update() -> io::Result<()> {
    let flags = RESTART_NO_CRASH.0 | RESTART_NO_HANG.0 | RESTART_NO_REBOOT.0;
    // SAFETY: the command line may be absent.
    Ok(unsafe { RegisterApplicationRestart(PCWSTR::null(), REGISTER_APPLICATION_RESTART_FLAGS(flags)) }?)
}

/// Makes the window, on a thread that lives as long as the program. Where no window can be made, as without a desktop, the
/// console is all there is.
fn window() -> io::Result<oneshot::Receiver<()>> {
    let (tell, asked) = oneshot::channel();
    let (made, wait) = mpsc::channel();
    std::thread::Builder::new().name("end".to_owned()).spawn(move || {
        ASKED.set(Some(tell));
        match make() {
            Ok(()) => {
                drop(made);
                take_messages();
            }
            Err(error) => {
                tracing::warn!(%error, "the end of the session will not be heard of");
                ASKED.set(None);
            }
        }
    })?;
    // Comes back with an error when there is a window, or none.
    let _: Result<(), _> = wait.recv();
    Ok(asked)
}

fn make() -> windows::core::Result<()> {
    // SAFETY: asks for the handle of this program, which is valid as long as it runs.
    let instance = unsafe { GetModuleHandleW(None) }?.into();
    let class =
        WNDCLASSW { lpfnWndProc: Some(answer), hInstance: instance, lpszClassName: CLASS, ..Default::default() };
    // SAFETY: `class` lives through the call and names a constant and a function. A class that is there already is this one.
    unsafe { RegisterClassW(&raw const class) };
    // SAFETY: the class is registered; no parent, menu or parameter is given.
    unsafe {
        let title = HSTRING::from("Insights Agent");
        CreateWindowExW(WINDOW_EX_STYLE(0), CLASS, &title, WS_OVERLAPPED, 0, 0, 0, 0, None, None, Some(instance), None)
    }?;
    Ok(())
}

fn take_messages() {
    let mut message = MSG::default();
    // SAFETY: `message` lives through both calls, which are made on the thread that made the window.
    unsafe {
        while GetMessageW(&raw mut message, None, 0, 0).0 > 0 {
            DispatchMessageW(&raw const message);
        }
    }
}

/// Answers what is sent to the window.
extern "system" fn answer(window: HWND, message: u32, wide: WPARAM, long: LPARAM) -> LRESULT {
    match message {
        WM_QUERYENDSESSION => LRESULT(1),
        WM_CLOSE => {
            tell();
            LRESULT(0)
        }
        WM_ENDSESSION if wide.0 != 0 => {
            tell();
            std::thread::sleep(HELD_UP);
            LRESULT(0)
        }
        // SAFETY: hands on what the system has given.
        _ => unsafe { DefWindowProcW(window, message, wide, long) },
    }
}

fn tell() {
    if let Some(asked) = ASKED.take() {
        // Nobody listens any more: the end has begun.
        let _ = asked.send(());
    }
}
