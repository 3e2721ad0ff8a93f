//! Opens the window in a process of its own, so that its memory is freed when it is closed and its
//! faults do not reach the agent.
//!
//! The tray controls the window over its standard input, one word per line: `show` brings it to the
//! front, `close` closes it.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use clap::ValueEnum;
use insights_agent::startup::CommonArgs;

use crate::window::Page;

/// The process of the window, if one was started.
#[derive(Debug)]
pub(crate) struct WindowProcess {
    arguments: Vec<OsString>,
    window: Option<Child>,
}

impl WindowProcess {
    /// Creates a starter for windows that get the same options as this program.
    pub(crate) fn new(options: &CommonArgs) -> Self {
        Self { arguments: options.arguments(), window: None }
    }

    /// Opens the window at a page, or brings an open window to the front.
    pub(crate) fn open(&mut self, page: Page) {
        if self.send("show") {
            return;
        }
        if let Err(error) = tauri::webview_version() {
            tracing::error!("failed to find a webview for the window: {error:#}");
            // The welcome page opens by itself: the user has not asked for a window.
            if page != Page::Welcome {
                missing_webview::show_message();
            }
            return;
        }
        let page = page.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let window = std::env::current_exe().and_then(|program| {
            Command::new(program)
                .args(["window", "--page", &page])
                .args(&self.arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
        });
        match window {
            Ok(window) => self.window = Some(window),
            Err(error) => tracing::error!("failed to open the window: {error:#}"),
        }
    }

    /// Sends a word to the window. Returns false if no window is open.
    fn send(&mut self, word: &str) -> bool {
        let Some(window) = &mut self.window else { return false };
        let is_running = matches!(window.try_wait(), Ok(None));
        is_running && window.stdin.as_mut().is_some_and(|input| writeln!(input, "{word}").is_ok())
    }
}

impl Drop for WindowProcess {
    fn drop(&mut self) {
        let _ = self.send("close");
    }
}

/// The message for Windows machines without a webview. Tray, collection and delivery work without
/// one; only the window does not.
#[cfg(windows)]
#[allow(unsafe_code)]
mod missing_webview {
    use windows::Win32::UI::WindowsAndMessaging::{MB_ICONINFORMATION, MB_OK, MESSAGEBOX_STYLE, MessageBoxW};
    use windows::core::w;

    const STYLE: MESSAGEBOX_STYLE = MESSAGEBOX_STYLE(MB_OK.0 | MB_ICONINFORMATION.0);

    /// Shows the message from a thread of its own, so that the tray stays responsive.
    pub(super) fn show_message() {
        std::thread::spawn(|| {
            // SAFETY: both texts are constants, and there is no owner window.
            unsafe {
                MessageBoxW(
                    None,
                    w!("Insights Agent is running normally, but it cannot show its window.\n\nThe window needs the \
                        Microsoft Edge WebView2 Runtime, which is not installed on this computer. Please ask your IT \
                        department to install it: go.microsoft.com/fwlink/p/?LinkId=2124703\n\nUntil then, you can \
                        see the status in a terminal with `insights-agent status`."),
                    w!("Insights Agent"),
                    STYLE,
                )
            };
        });
    }
}

/// On other systems the program is linked against the webview and does not start without it.
#[cfg(not(windows))]
mod missing_webview {
    pub(super) fn show_message() {}
}
