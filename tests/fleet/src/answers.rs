//! What the simulation put in: the right answers to the questions.

use std::collections::BTreeMap;

/// Calls of an action or a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Calls {
    /// How many.
    pub count: f64,
    /// How many failed.
    pub failed: f64,
    /// Milliseconds of all of them.
    pub milliseconds: f64,
}

/// An app that broke down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// On which machine.
    pub host: String,
    /// In which session.
    pub session: String,
    /// Which app.
    pub app: String,
    /// The messages of the log around it, in order.
    pub story: Vec<String>,
}

/// The right answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// Seconds in focus, by app and department.
    pub focus: BTreeMap<(String, String), f64>,
    /// Starts, by app.
    pub starts: BTreeMap<String, f64>,
    /// Switches, by user.
    pub switches: BTreeMap<String, f64>,
    /// Active seconds, by user.
    pub active: BTreeMap<String, f64>,
    /// Number and seconds of the sessions of an app.
    pub app_sessions: BTreeMap<String, (f64, f64)>,
    /// Number and seconds of the sessions of a user.
    pub user_sessions: BTreeMap<String, (f64, f64)>,
    /// Calls of actions, by action and user.
    pub actions: BTreeMap<(String, String), Calls>,
    /// Calls of backends, by backend and user.
    pub backends: BTreeMap<(String, String), Calls>,
    /// Errors, by machine.
    pub errors: BTreeMap<String, f64>,
    /// Errors, by hour of the day (UTC).
    pub errors_by_hour: BTreeMap<i8, f64>,
    /// Seconds at or above the threshold of CPU, by machine.
    pub limit: BTreeMap<String, f64>,
    /// Most memory of an app (KB), by app.
    pub memory: BTreeMap<String, f64>,
    /// What broke.
    pub breaks: Vec<Break>,
}

/// The key with the largest value, and that value.
#[must_use]
pub fn most<K: Clone>(of: &BTreeMap<K, f64>) -> Option<(K, f64)> {
    of.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(key, value)| (key.clone(), *value))
}

impl Answers {
    /// Seconds in focus, by app.
    #[must_use]
    pub fn focus_by_app(&self) -> BTreeMap<String, f64> {
        summed(&self.focus, |(app, _)| app)
    }

    /// Failed calls, by action.
    #[must_use]
    pub fn failures_by_action(&self) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for ((action, _), calls) in &self.actions {
            *sums.entry(action.clone()).or_default() += calls.failed;
        }
        sums
    }
}

fn summed(of: &BTreeMap<(String, String), f64>, key: impl Fn(&(String, String)) -> &String) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (both, value) in of {
        *sums.entry(key(both).clone()).or_default() += value;
    }
    sums
}

/// Adds to both sums of a key.
pub(crate) fn add(to: &mut BTreeMap<String, (f64, f64)>, key: &str, what: (f64, f64)) {
    let sums = to.entry(key.to_owned()).or_default();
    *sums = (sums.0 + what.0, sums.1 + what.1);
}

/// Counts a call.
pub(crate) fn tally(to: &mut BTreeMap<(String, String), Calls>, what: &str, user: &str, took: f64, failed: bool) {
    let calls = to.entry((what.to_owned(), user.to_owned())).or_default();
    calls.count += 1.0;
    calls.failed += f64::from(u8::from(failed));
    calls.milliseconds += took;
}
