//! A window that nobody sees, for what Windows says to windows only: that the session ends, that the program should close
//! (an installer, `taskkill`).
//!
//! Once the session is said to end, the system ends the program as soon as the message was handled. So handling it lasts
//! until the program has ended by itself, [`END_LIMIT`] at most.

#![allow(unsafe_code)]

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;
use windows::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, MSG, RegisterClassW, WINDOW_EX_STYLE, WM_CLOSE,
    WM_ENDSESSION, WM_QUERYENDSESSION, WNDCLASSW, WS_OVERLAPPED,
};
use windows::core::{PCWSTR, w};

/// The system waits 5 s (`HungAppTimeout`) before it calls a program hung.
const END_LIMIT: Duration = Duration::from_millis(4500);
/// Name of the window's class, by which installers and tests find it.
const CLASS: PCWSTR = w!("InsightsAgentEnd");

static ASKED: Notify = Notify::const_new();

/// Completes when the program was asked to end.
pub(super) async fn asked() {
    ASKED.notified().await;
}

/// Opens the window, on a thread of its own.
pub(super) fn listen() -> io::Result<()> {
    let (opened, wait) = mpsc::channel();
    thread::Builder::new().name("end of session".to_owned()).spawn(move || run(&opened))?;
    wait.recv().map_err(|_| io::Error::other("the window for the end of the session was not opened"))?
}

fn run(opened: &Sender<io::Result<()>>) {
    let class = WNDCLASSW { lpfnWndProc: Some(answer), lpszClassName: CLASS, ..WNDCLASSW::default() };
    // SAFETY: the class and its name live through the call, its procedure as long as the program. The window belongs to
    // this thread, which fetches its messages until the program ends.
    let window = unsafe {
        RegisterClassW(&raw const class);
        CreateWindowExW(
            WINDOW_EX_STYLE(0),
            CLASS,
            w!("Insights Agent"),
            WS_OVERLAPPED,
            0,
            0,
            0,
            0,
            None,
            None,
            None,
            None,
        )
    };
    // Nobody waits any more: the program is about to end.
    let _ = opened.send(window.map(|_| ()).map_err(io::Error::from));
    let mut message = MSG::default();
    // SAFETY: `message` lives through the calls.
    unsafe {
        while GetMessageW(&raw mut message, None, 0, 0).as_bool() {
            DispatchMessageW(&raw const message);
        }
    }
}

unsafe extern "system" fn answer(window: HWND, message: u32, first: WPARAM, second: LPARAM) -> LRESULT {
    match message {
        // Nothing stands against it.
        WM_QUERYENDSESSION => LRESULT(1),
        WM_ENDSESSION if first.0 != 0 => {
            ASKED.notify_one();
            thread::sleep(END_LIMIT);
            LRESULT(0)
        }
        WM_CLOSE => {
            ASKED.notify_one();
            LRESULT(0)
        }
        // SAFETY: as the system gave them.
        _ => unsafe { DefWindowProcW(window, message, first, second) },
    }
}
