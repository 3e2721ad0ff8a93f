//! The true values of a simulation. Queries on the exported data must return them.

use std::collections::BTreeMap;

/// Calls of an action or a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Calls {
    /// Number of calls.
    pub count: f64,
    /// Number of failed calls.
    pub failed: f64,
    /// Sum of the durations, in milliseconds.
    pub milliseconds: f64,
}

/// A crash of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakdown {
    /// Host name of the machine.
    pub host: String,
    /// Session id.
    pub session: String,
    /// Name of the app.
    pub app: String,
    /// Log messages before and after the crash, in order.
    pub story: Vec<String>,
}

/// The true values of a simulation.
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
    /// Maximum memory of an app (KB), by app.
    pub memory: BTreeMap<String, f64>,
    /// All crashes.
    pub breakdowns: Vec<Breakdown>,
}

/// Returns the key with the largest value, and that value.
#[must_use]
pub fn max_entry<K: Clone>(of: &BTreeMap<K, f64>) -> Option<(K, f64)> {
    of.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(key, value)| (key.clone(), *value))
}

impl Answers {
    /// Returns the seconds in focus, by app.
    #[must_use]
    pub fn focus_by_app(&self) -> BTreeMap<String, f64> {
        summed(&self.focus, |(app, _)| app)
    }

    /// Returns the failed calls, by action.
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

/// Adds a pair of values to the sums of a key.
pub(crate) fn add(to: &mut BTreeMap<String, (f64, f64)>, key: &str, values: (f64, f64)) {
    let sums = to.entry(key.to_owned()).or_default();
    *sums = (sums.0 + values.0, sums.1 + values.1);
}

/// Adds a call to the sums of an action or a backend.
pub(crate) fn add_call(to: &mut BTreeMap<(String, String), Calls>, name: &str, user: &str, took: f64, failed: bool) {
    let calls = to.entry((name.to_owned(), user.to_owned())).or_default();
    calls.count += 1.0;
    calls.failed += f64::from(u8::from(failed));
    calls.milliseconds += took;
}
