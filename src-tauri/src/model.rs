//! What the tray shows: a plain function of the agent's status, without any window system.
//!
//! The menu always has the same items in the same order; only their texts, marks and whether they can be chosen change.
//! So the view can keep an open menu open.

use insights_agent::consent::LogKind;
use insights_agent::pause::PauseFor;
use insights_agent::status::{Health, Status};
use insights_agent::units::bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Longest tooltip that Windows shows (`NOTIFYICONDATAW::szTip`, 128 UTF-16 units with the end).
const LONGEST_TOOLTIP: usize = 127;
/// Longest line of the menu: beyond, menus become wider than what they hide.
const LONGEST_LINE: usize = 80;

/// Behind what the user cannot change.
const SET: &str = "set by your organisation";

/// All that the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrayModel {
    pub(crate) icon: Icon,
    /// One true sentence.
    pub(crate) tooltip: String,
    pub(crate) menu: Vec<Item>,
}

/// The picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Icon {
    pub(crate) health: Health,
    /// Whether logs are shared.
    pub(crate) shared: bool,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Something to read.
    Text { id: &'static str, text: String },
    /// Something that is so or not.
    Check { action: Action, text: String, checked: bool, enabled: bool },
    /// Something to do.
    Button { action: Action, text: String, enabled: bool },
    /// A line between.
    Separator,
}

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Share these logs, or stop it.
    Share(LogKind),
    /// Pause, or go on.
    Pause(PauseFor),
    /// Show the window.
    Open,
    /// End the program.
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

    /// Its name in the menu's events.
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

    /// The action of a name.
    pub(crate) fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.id() == id)
    }
}

impl TrayModel {
    /// What the tray shows of a status, with times in a zone.
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
            .map_or_else(|| "Nothing delivered yet".to_owned(), |at| format!("Last delivery {}", clock(at)));
        let queue = match status.queue.batches() {
            0 => "Nothing waits".to_owned(),
            1 => format!("1 request waits ({})", bytes(status.queue.bytes())),
            batches => format!("{batches} requests wait ({})", bytes(status.queue.bytes())),
        };
        let share = |kind, text: &str| {
            let is_set = status.policy.shares(kind).is_some();
            Item::Check {
                action: Action::Share(kind),
                text: if is_set { format!("{text} ({SET})") } else { text.to_owned() },
                checked: status.logs.shared.contains(&kind),
                enabled: !is_set,
            }
        };
        let paused = status.paused_until_unix_ms;
        let may_pause = paused.is_none() && status.policy.allow_pause;
        let button = |action, text: &str, enabled| Item::Button { action, text: text.to_owned(), enabled };
        let resume =
            paused.map_or_else(|| "Resume".to_owned(), |until| format!("Resume (paused until {})", clock(until)));
        let menu = vec![
            Item::Text { id: "status", text: shortened(&status.sentence, LONGEST_LINE) },
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
            tooltip: shortened(&format!("Insights Agent: {}", status.sentence), LONGEST_TOOLTIP),
            menu,
        }
    }
}

/// A text of at most so many UTF-16 units, with dots where it was cut.
fn shortened(text: &str, most: usize) -> String {
    if text.encode_utf16().count() <= most {
        return text.to_owned();
    }
    let mut room = most - 1;
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
