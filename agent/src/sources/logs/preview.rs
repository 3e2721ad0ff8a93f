//! What would be sent of a log file: for people who want to see it before they agree, and for those who write rules.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::filter::{Filters, Memory};
use super::framing::{End, Framer, Record};
use super::layout::Layout;
use super::text::Encoding;
use crate::config::LogSettings;
use crate::connect::folders::unrotated;
use crate::pipeline::queue::LogCounter;
use crate::redaction::Redactor;

/// One record of a file.
#[derive(Debug)]
pub struct Preview<'a> {
    /// As it lies in the file.
    pub record: Record<'a>,
    /// Its text before the message, as it stands in the file.
    pub head: Cow<'a, str>,
    /// Its message, redacted.
    pub message: String,
    /// What was hidden, by rule.
    pub hidden: BTreeMap<String, u64>,
    /// Why it would not be sent, if it would not.
    pub left_out: Option<LogCounter>,
}

/// Calls `each` with every record of a file. `name` is its name without folders: layouts and filters go by it.
pub fn preview(
    bytes: &[u8],
    name: &str,
    settings: &LogSettings,
    redactor: &Redactor,
    mut each: impl FnMut(Preview<'_>),
) {
    let name = unrotated(name);
    let layout = Layout::for_file(&name, &settings.layouts);
    let (mut filters, mut memory) = (Filters::for_file(&name, settings), Memory::default());
    let encoding = Encoding::of(bytes);
    let text = encoding.text(&bytes[encoding.mark(bytes)..]);
    for record in Framer::new(&text, &layout, false, false, End::Closed) {
        // The limit counts seconds of the file's own time, whatever zone that is in.
        let second = record.header.and_then(|header| header.time).and_then(|time| {
            let instant = jiff::tz::Offset::UTC.to_timestamp(time.civil).ok()?;
            u64::try_from(instant.as_second()).ok()
        });
        let time = second.unwrap_or_default().saturating_mul(1_000_000_000);
        let left_out = filters.leave_out(&record, time, &mut memory);
        let mut hidden = BTreeMap::new();
        let message = String::from_utf8_lossy(record.message);
        let message = redactor.redact_counting(&message, &mut hidden).into_owned();
        let message_start = record.header.map_or(0, |header| header.message_start);
        let head = String::from_utf8_lossy(&text[record.start..record.start + message_start]);
        each(Preview { record, head, message, hidden, left_out });
    }
}
