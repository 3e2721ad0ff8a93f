//! Console events, and messages to a hidden window.
//!
//! A program that links user32 or gdi32 is notified of the end of the session only by window
//! messages (documentation of `SetConsoleCtrlHandler`). Installers and `taskkill` close windows,
//! too. So the program creates a hidden top-level window; a message-only window would not receive
//! `WM_ENDSESSION`.

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

/// Name of the window class.
const CLASS: PCWSTR = w!("InsightsAgentEnd");
/// Maximum delay of the end of the session. Windows ends the program once the window has answered,
/// and offers the user to end it after 5 s. The agent stops well before that
/// (`agent::FLUSH_LIMIT`), and with it the process.
const MAX_SESSION_END_DELAY: Duration = Duration::from_secs(4);

thread_local! {
    /// Notified by the window of this thread.
    static REQUESTED: RefCell<Option<oneshot::Sender<()>>> = const { RefCell::new(None) };
}

/// Completes when Windows, an installer or the console ends the program; listens from this call on.
///
/// # Errors
/// When the event handlers cannot be installed.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = console::ctrl_c()?;
    let mut stop = console::ctrl_break()?;
    let mut close = console::ctrl_close()?;
    let mut logoff = console::ctrl_logoff()?;
    let mut shutdown = console::ctrl_shutdown()?;
    let requested = window()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = stop.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
            Ok(()) = requested => {}
        }
    })
}

/// Registers this program to be restarted by Windows, without arguments, after an installer has
/// ended it to replace its files. An installer that runs as SYSTEM cannot start it in the user's
/// session.
///
/// # Errors
/// When Windows rejects the registration.
pub fn register_restart_after_update() -> io::Result<()> {
    let flags = RESTART_NO_CRASH.0 | RESTART_NO_HANG.0 | RESTART_NO_REBOOT.0;
    // SAFETY: the command line may be absent.
    Ok(unsafe { RegisterApplicationRestart(PCWSTR::null(), REGISTER_APPLICATION_RESTART_FLAGS(flags)) }?)
}

/// Creates the window, on a thread that lives as long as the program. Without a desktop there is no
/// window, and only console events work.
fn window() -> io::Result<oneshot::Receiver<()>> {
    let (notify, requested) = oneshot::channel();
    let (created, wait) = mpsc::channel();
    std::thread::Builder::new().name("end".to_owned()).spawn(move || {
        REQUESTED.set(Some(notify));
        match create_window() {
            Ok(()) => {
                drop(created);
                dispatch_messages();
            }
            Err(error) => {
                tracing::warn!(
                    "failed to create the shutdown window; the end of the session will not be noticed: {error:#}"
                );
                REQUESTED.set(None);
            }
        }
    })?;
    // Returns an error as soon as the other end is dropped, whether or not there is a window.
    let _: Result<(), _> = wait.recv();
    Ok(requested)
}

fn create_window() -> windows::core::Result<()> {
    // SAFETY: returns the handle of this program, which is valid as long as it runs.
    let instance = unsafe { GetModuleHandleW(None) }?.into();
    let class = WNDCLASSW {
        lpfnWndProc: Some(handle_message),
        hInstance: instance,
        lpszClassName: CLASS,
        ..Default::default()
    };
    // SAFETY: `class` lives through the call and names a constant and a function. If the class
    // exists already, it is this one.
    unsafe { RegisterClassW(&raw const class) };
    // SAFETY: the class is registered; no parent, menu or parameter is given.
    unsafe {
        let title = HSTRING::from("Insights Agent");
        CreateWindowExW(WINDOW_EX_STYLE(0), CLASS, &title, WS_OVERLAPPED, 0, 0, 0, 0, None, None, Some(instance), None)
    }?;
    Ok(())
}

fn dispatch_messages() {
    let mut message = MSG::default();
    // SAFETY: `message` lives through both calls, which are made on the thread that created the
    // window.
    unsafe {
        while GetMessageW(&raw mut message, None, 0, 0).0 > 0 {
            DispatchMessageW(&raw const message);
        }
    }
}

/// Handles the messages of the window.
extern "system" fn handle_message(window: HWND, message: u32, wide: WPARAM, long: LPARAM) -> LRESULT {
    match message {
        WM_QUERYENDSESSION => LRESULT(1),
        WM_CLOSE => {
            notify();
            LRESULT(0)
        }
        WM_ENDSESSION if wide.0 != 0 => {
            notify();
            std::thread::sleep(MAX_SESSION_END_DELAY);
            LRESULT(0)
        }
        // SAFETY: passes on the arguments of the system unchanged.
        _ => unsafe { DefWindowProcW(window, message, wide, long) },
    }
}

fn notify() {
    if let Some(requested) = REQUESTED.take() {
        // Fails when the program is already shutting down.
        let _ = requested.send(());
    }
}
