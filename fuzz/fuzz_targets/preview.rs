//! For any file: the preview does not fail, with UTF-16, exceptions, traces and filters.
#![no_main]

use std::sync::LazyLock;

use insights_agent::config::{LogSettings, RedactionSettings};
use insights_agent::redaction::{Redactor, UserIdentity};
use insights_agent::sources::logs::enrich::{exception, trace_context};
use insights_agent::sources::logs::preview::preview;
use libfuzzer_sys::fuzz_target;

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(&RedactionSettings::default(), &UserIdentity::default()));

fuzz_target!(|file: &[u8]| {
    preview(file, "application.log", &LogSettings::default(), &REDACTOR, |record| {
        let _ = trace_context(record.record.message);
        if let Some(found) = exception(&record.message) {
            assert!(record.message.trim_end().ends_with(found.stacktrace));
        }
    });
});
