//! The current time as the agent stores it.

use jiff::Timestamp;

/// Returns the current time in Unix milliseconds.
#[must_use]
pub fn now_unix_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
