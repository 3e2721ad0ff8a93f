//! Opens the window, which is a process of its own: what it takes is given back when it is closed, and its faults are not
//! the agent's.
//!
//! Over its standard input it is told what to do, a word a line: `show` to come to the front, `close`.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use clap::ValueEnum;
use insights_agent::startup::CommonArgs;

use crate::window::Page;

/// The window, if it was opened.
#[derive(Debug)]
pub(crate) struct Opener {
    arguments: Vec<OsString>,
    window: Option<Child>,
}

impl Opener {
    /// For windows with the same options as this program.
    pub(crate) fn new(options: &CommonArgs) -> Self {
        Self { arguments: options.arguments(), window: None }
    }

    /// Opens the window, or brings it to the front.
    pub(crate) fn open(&mut self, page: Page) {
        if self.tell("show") {
            return;
        }
        if let Err(error) = tauri::webview_version() {
            tracing::error!(%error, "there is no webview to show the window with");
            // At the first start nobody has asked for it.
            if page != Page::Welcome {
                missing::tell();
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
            Err(error) => tracing::error!(%error, "the window cannot be opened"),
        }
    }

    /// Tells the window something; false if there is none.
    fn tell(&mut self, word: &str) -> bool {
        let Some(window) = &mut self.window else { return false };
        let runs = matches!(window.try_wait(), Ok(None));
        runs && window.stdin.as_mut().is_some_and(|input| writeln!(input, "{word}").is_ok())
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let _ = self.tell("close");
    }
}

/// Without a webview the tray, collection and delivery work; only the window does not, and that is said.
#[cfg(windows)]
#[allow(unsafe_code)]
mod missing {
    use windows::Win32::UI::WindowsAndMessaging::{MB_ICONINFORMATION, MB_OK, MESSAGEBOX_STYLE, MessageBoxW};
    use windows::core::w;

    const STYLE: MESSAGEBOX_STYLE = MESSAGEBOX_STYLE(MB_OK.0 | MB_ICONINFORMATION.0);

    /// On a thread of its own, so that the tray goes on.
    pub(super) fn tell() {
        std::thread::spawn(|| {
            // SAFETY: both texts are constants, and there is no owner.
            unsafe {
                MessageBoxW(
                    None,
                    w!("Insights Agent is running, and collects and delivers as it should.\n\nIts window needs the \
                        Microsoft Edge WebView2 Runtime, which is not on this machine. Your IT department can install it; it \
                        is at go.microsoft.com/fwlink/p/?LinkId=2124703.\n\nWithout it, `insights-agent status` in a \
                        terminal says how the agent is."),
                    w!("Insights Agent"),
                    STYLE,
                )
            };
        });
    }
}

/// Where the webview is linked to the program, it is there.
#[cfg(not(windows))]
mod missing {
    pub(super) fn tell() {}
}
