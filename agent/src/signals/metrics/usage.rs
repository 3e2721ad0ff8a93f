//! Usage metrics: sessions, apps, focus, the platform.

use super::{Instrument, Metric};
use crate::signals::Attribute;

/// Instrumentation scope of usage metrics.
pub const USAGE_SCOPE: &str = "insights-agent.usage";

/// Attribute: name of an app.
pub const APP_NAME: Attribute = Attribute {
    name: "ioconnect.app.name",
    description: "Name of the app; `platform` for a platform window whose app is unknown, `other` \
                  for everything that does not belong to io.Connect.",
};
/// Attribute: state of the user session.
pub const SESSION_STATE: Attribute = Attribute {
    name: "ioconnect.user_session.state",
    description: "`active`, `idle` (no input for `focus.idle_after`; starts at the last input), \
                  `locked`, `suspended`, `disconnected` or `unknown` (the system does not report \
                  it).",
};

/// Bounds of focus durations: from a glance to a meeting.
const FOCUS_BOUNDS: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// Bounds of session durations: from 10 seconds to a day.
const SESSION_BOUNDS: &[f64] =
    &[10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0];
/// Bounds of platform start durations.
const START_BOUNDS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0];

metric_table! {
    /// Every metric of this file.
    USAGE:

    /// Time of the user session by state.
    pub const USER_SESSION_TIME = Metric {
        name: "ioconnect.user_session.time",
        unit: "s",
        instrument: Instrument::Counter,
        description: "Time of the user session by state. Every second is in exactly one state. Time \
                  whose state is not yet clear (without input, the user is active or idle) is \
                  counted later, after `focus.idle_after` at most.",
        attributes: &[SESSION_STATE],
        scope: USAGE_SCOPE,
    };

    /// Focus time of an app.
    pub const APP_FOCUS_TIME = Metric {
        name: "ioconnect.app.focus.time",
        unit: "s",
        instrument: Instrument::Counter,
        description: "Time during which the app was in front of an active user. The sum over all apps \
                  is the active time of the session.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Durations of focus periods.
    pub const APP_FOCUS_DURATION = Metric {
        name: "ioconnect.app.focus.duration",
        unit: "s",
        instrument: Instrument::Histogram(FOCUS_BOUNDS),
        description: "Duration of each uninterrupted period during which the app was in front of an \
                  active user. Recorded when the period ends.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Switches to an app.
    pub const APP_SWITCHES = Metric {
        name: "ioconnect.app.switches",
        unit: "{switch}",
        instrument: Instrument::Counter,
        description: "Number of times that an active user switched from another app to this one.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Starts of an app.
    pub const APP_STARTS = Metric {
        name: "ioconnect.app.starts",
        unit: "{start}",
        instrument: Instrument::Counter,
        description: "Number of app instances started while the agent was running.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Running instances of an app.
    pub const APP_RUNNING = Metric {
        name: "ioconnect.app.running",
        unit: "{instance}",
        instrument: Instrument::UpDownCounter,
        description: "Number of running app instances: platform windows and processes of native apps.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Durations of app sessions.
    pub const APP_SESSION_DURATION = Metric {
        name: "ioconnect.app.session.duration",
        unit: "s",
        instrument: Instrument::Histogram(SESSION_BOUNDS),
        description: "Lifetime of an app instance, including sleep. Recorded when it ends. Instances \
                  that started before the agent are not included.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Hangs of an app.
    pub const APP_HANGS = Metric {
        name: "ioconnect.app.hangs",
        unit: "{hang}",
        instrument: Instrument::Counter,
        description: "Number of times that the window in front stopped responding. Windows only \
                  (`IsHungAppWindow`).",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Crashes of a native app.
    pub const APP_CRASHES = Metric {
        name: "ioconnect.app.crashes",
        unit: "{crash}",
        instrument: Instrument::Counter,
        description: "Number of times that the system ended a native app because of a fault, judged by \
                  its exit code. Windows only.",
        attributes: &[APP_NAME],
        scope: USAGE_SCOPE,
    };

    /// Crash dumps of the platform.
    pub const PLATFORM_CRASHES = Metric {
        name: "ioconnect.platform.crashes",
        unit: "{crash}",
        instrument: Instrument::Counter,
        description: "Number of crash dumps that appeared in the crash folders of the platform.",
        attributes: &[],
        scope: USAGE_SCOPE,
    };

    /// Starts of the platform.
    pub const PLATFORM_STARTS = Metric {
        name: "ioconnect.platform.starts",
        unit: "{start}",
        instrument: Instrument::Counter,
        description: "Number of platform starts while the agent was running.",
        attributes: &[],
        scope: USAGE_SCOPE,
    };

    /// Time from platform start to the first window.
    pub const PLATFORM_START_DURATION = Metric {
        name: "ioconnect.platform.start.duration",
        unit: "s",
        instrument: Instrument::Histogram(START_BOUNDS),
        description: "Time from the start of the main process of the platform, which is known to the \
                  second, to its first window.",
        attributes: &[],
        scope: USAGE_SCOPE,
    };

    /// Durations of platform sessions.
    pub const PLATFORM_SESSION_DURATION = Metric {
        name: "ioconnect.platform.session.duration",
        unit: "s",
        instrument: Instrument::Histogram(SESSION_BOUNDS),
        description: "Lifetime of a platform, including sleep. Recorded when it ends.",
        attributes: &[],
        scope: USAGE_SCOPE,
    };
}
