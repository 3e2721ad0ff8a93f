//! What the tray shows: a pure function of the agent's status, independent of the window system.
//!
//! **Invariant:** the menu always has the same items in the same order. Only texts, check marks and
//! the enabled state change, so `tauri_tray` can change an open menu without closing it.
//!
//! All texts of the tray are here, except for the sentence of the status (agent/src/status.rs).

use insights_agent::consent::LogKind;
use insights_agent::pause::PauseFor;
use insights_agent::status::{Health, Status};
use insights_agent::units::bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Maximum length of a tooltip on Windows (`NOTIFYICONDATAW::szTip`: 128 UTF-16 units with the
/// terminating null).
const MAX_TOOLTIP_UTF16: usize = 127;
/// Maximum length of a menu line. Longer lines make the menu wider than most windows below it.
const MAX_LINE_UTF16: usize = 80;

/// Follows the text of an item that the user cannot change.
const SET_BY_ORGANISATION: &str = "set by your organisation";

/// Everything that the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrayModel {
    pub(crate) icon: Icon,
    /// The program and the sentence of its status.
    pub(crate) tooltip: String,
    pub(crate) menu: Vec<Item>,
}

/// The picture in the system tray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Icon {
    pub(crate) health: Health,
    /// Adds a mark to the picture while any logs are shared.
    pub(crate) shared: bool,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Information that cannot be chosen.
    Text { id: &'static str, text: String },
    /// An option that is on or off.
    Check { action: Action, text: String, checked: bool, enabled: bool },
    /// A command.
    Button { action: Action, text: String, enabled: bool },
    /// A separator line.
    Separator,
}

/// What the user can choose in the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start or stop sharing a kind of logs.
    Share(LogKind),
    /// Pause or resume.
    Pause(PauseFor),
    /// Open the window.
    Open,
    /// Quit the program.
    Quit,
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Share(LogKind::Platform),
        Self::Share(LogKind::Applications),
        Self::Pause(PauseFor::OneHour),
        Self::Pause(PauseFor::Tomorrow),
        Self::Pause(PauseFor::Resume),
        Self::Open,
        Self::Quit,
    ];

    /// Returns the name of the action in menu events.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Share(LogKind::Platform) => "share-platform",
            Self::Share(LogKind::Applications) => "share-applications",
            Self::Pause(PauseFor::OneHour) => "pause-hour",
            Self::Pause(PauseFor::Tomorrow) => "pause-tomorrow",
            Self::Pause(PauseFor::Resume) => "resume",
            Self::Open => "open",
            Self::Quit => "quit",
        }
    }

    /// Returns the action with a name.
    pub(crate) fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.id() == id)
    }
}

impl TrayModel {
    /// Creates the model for a status, with times in `zone`.
    pub(crate) fn of(status: &Status, zone: &TimeZone) -> Self {
        let clock = |unix_ms: i64| {
            let time = Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_zoned_datetime(zone.clone());
            let now =
                Timestamp::from_millisecond(status.taken_unix_ms).unwrap_or_default().to_zoned_datetime(zone.clone());
            let format = if time.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
            time.strftime(format).to_string()
        };
        let delivery = status
            .collector
            .acknowledged_unix_ms()
            .map_or_else(|| "No delivery yet".to_owned(), |at| format!("Last delivery {}", clock(at)));
        let queue = match status.queue.items() {
            0 => "Nothing waiting to be sent".to_owned(),
            1 => format!("1 item waiting to be sent ({})", bytes(status.queue.bytes())),
            items => format!("{items} items waiting to be sent ({})", bytes(status.queue.bytes())),
        };
        let share = |kind, text: &str| {
            let is_fixed = status.policy.shares(kind).is_some();
            Item::Check {
                action: Action::Share(kind),
                text: if is_fixed { format!("{text} ({SET_BY_ORGANISATION})") } else { text.to_owned() },
                checked: status.logs.shared.contains(&kind),
                enabled: !is_fixed,
            }
        };
        let paused = status.paused_until_unix_ms;
        let may_pause = paused.is_none() && status.policy.allow_pause;
        let button = |action, text: &str, enabled| Item::Button { action, text: text.to_owned(), enabled };
        let resume =
            paused.map_or_else(|| "Resume".to_owned(), |until| format!("Resume (paused until {})", clock(until)));
        let menu = vec![
            Item::Text { id: "status", text: shortened(&status.sentence, MAX_LINE_UTF16) },
            Item::Text { id: "delivery", text: delivery },
            Item::Text { id: "queue", text: queue },
            Item::Separator,
            share(LogKind::Platform, "Share platform logs"),
            share(LogKind::Applications, "Share application logs"),
            Item::Separator,
            button(Action::Pause(PauseFor::OneHour), "Pause for 1 hour", may_pause),
            button(Action::Pause(PauseFor::Tomorrow), "Pause until tomorrow", may_pause),
            button(Action::Pause(PauseFor::Resume), &resume, paused.is_some()),
            Item::Separator,
            button(Action::Open, "Open Insights Agent", true),
            button(Action::Quit, "Quit", true),
        ];
        Self {
            icon: Icon { health: status.health, shared: !status.logs.shared.is_empty() },
            tooltip: shortened(&format!("Insights Agent: {}", status.sentence), MAX_TOOLTIP_UTF16),
            menu,
        }
    }
}

/// Returns the text, cut to `max` UTF-16 units with an ellipsis at the end if it is longer.
fn shortened(text: &str, max: usize) -> String {
    if text.encode_utf16().count() <= max {
        return text.to_owned();
    }
    let mut room = max - 1;
    let fits = text.chars().take_while(|c| {
        let takes = c.len_utf16() <= room;
        room = room.saturating_sub(c.len_utf16());
        takes
    });
    let cut: String = fits.collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests;
