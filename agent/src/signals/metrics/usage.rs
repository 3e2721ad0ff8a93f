//! Metrics of use: sessions, apps, focus, the platform.

use super::{Instrument, Metric};
use crate::signals::Attribute;

/// Instrumentation scope of the metrics of use.
pub const USAGE_SCOPE: &str = "insights-agent.usage";

/// Attribute: which app.
pub const APP_NAME: Attribute = Attribute {
    name: "ioconnect.app.name",
    meaning: "Name of the app; `platform` for a window of the platform whose app is not known, `other` for all that is not \
              io.Connect's.",
};
/// Attribute: what a stretch of a session was.
pub const SESSION_STATE: Attribute = Attribute {
    name: "ioconnect.user_session.state",
    meaning: "`active`, `idle` (no input for `focus.idle_after`, from the last input on), `locked`, `suspended`, \
              `disconnected`, `unknown` (the system does not tell).",
};

/// Bounds for the time that one app is in front: from a glance to a meeting.
const FOCUS_BOUNDS: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// Bounds for sessions: from a look to a night.
const SESSION_BOUNDS: &[f64] =
    &[10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0];
/// Bounds for the platform's start.
const START_BOUNDS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0];

/// Time in each state.
pub const USER_SESSION_TIME: Metric = Metric {
    name: "ioconnect.user_session.time",
    unit: "s",
    instrument: Instrument::Counter,
    description: "Time of the user's session by state: every second is in exactly one. What is not known yet (somebody who \
                  does not type may be thinking or gone) is counted once it is known, after `focus.idle_after` at most.",
    attributes: &[SESSION_STATE],
    scope: USAGE_SCOPE,
};
/// Time in front.
pub const APP_FOCUS_TIME: Metric = Metric {
    name: "ioconnect.app.focus.time",
    unit: "s",
    instrument: Instrument::Counter,
    description: "Time that an app was in front of an active user. All apps together are the session's active time.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Lengths of focus.
pub const APP_FOCUS_DURATION: Metric = Metric {
    name: "ioconnect.app.focus.duration",
    unit: "s",
    instrument: Instrument::Histogram(FOCUS_BOUNDS),
    description: "How long an app was in front of an active user without a break, once that is over.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Switches.
pub const APP_SWITCHES: Metric = Metric {
    name: "ioconnect.app.switches",
    unit: "{switch}",
    instrument: Instrument::Counter,
    description: "Switches of an active user from another app to this one.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Starts.
pub const APP_STARTS: Metric = Metric {
    name: "ioconnect.app.starts",
    unit: "{start}",
    instrument: Instrument::Counter,
    description: "Instances of an app that were started while the agent ran.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Instances.
pub const APP_RUNNING: Metric = Metric {
    name: "ioconnect.app.running",
    unit: "{instance}",
    instrument: Instrument::UpDownCounter,
    description: "Instances of an app that are there: windows of the platform, processes of native apps.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Lengths of app sessions.
pub const APP_SESSION_DURATION: Metric = Metric {
    name: "ioconnect.app.session.duration",
    unit: "s",
    instrument: Instrument::Histogram(SESSION_BOUNDS),
    description: "How long an instance of an app was there, sleep included, once it has ended. Instances that were there \
                  before the agent are left out.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Hangs.
pub const APP_HANGS: Metric = Metric {
    name: "ioconnect.app.hangs",
    unit: "{hang}",
    instrument: Instrument::Counter,
    description: "How often the window in front stopped to answer. On Windows only (`IsHungAppWindow`).",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Crashes.
pub const APP_CRASHES: Metric = Metric {
    name: "ioconnect.app.crashes",
    unit: "{crash}",
    instrument: Instrument::Counter,
    description: "How often a native app was ended by the system because of a fault, as its exit code says. On Windows only.",
    attributes: &[APP_NAME],
    scope: USAGE_SCOPE,
};
/// Crash dumps.
pub const PLATFORM_CRASHES: Metric = Metric {
    name: "ioconnect.platform.crashes",
    unit: "{crash}",
    instrument: Instrument::Counter,
    description: "Crash dumps that appeared in the platform's folders of crashes.",
    attributes: &[],
    scope: USAGE_SCOPE,
};
/// Starts of the platform.
pub const PLATFORM_STARTS: Metric = Metric {
    name: "ioconnect.platform.starts",
    unit: "{start}",
    instrument: Instrument::Counter,
    description: "Platforms that were started while the agent ran.",
    attributes: &[],
    scope: USAGE_SCOPE,
};
/// Time to the first window.
pub const PLATFORM_START_DURATION: Metric = Metric {
    name: "ioconnect.platform.start.duration",
    unit: "s",
    instrument: Instrument::Histogram(START_BOUNDS),
    description: "Time from the start of the platform's main process, which is known to the second, to its first window.",
    attributes: &[],
    scope: USAGE_SCOPE,
};
/// Lengths of platform sessions.
pub const PLATFORM_SESSION_DURATION: Metric = Metric {
    name: "ioconnect.platform.session.duration",
    unit: "s",
    instrument: Instrument::Histogram(SESSION_BOUNDS),
    description: "How long a platform ran, sleep included, once it has ended.",
    attributes: &[],
    scope: USAGE_SCOPE,
};
