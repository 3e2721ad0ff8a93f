//! Finds where to start in a file that existed before the user shared logs, if the settings include
//! some of its history.

use std::fs::File;
use std::io;
use std::path::Path;

use jiff::tz::TimeZone;

use super::clock::{Clock, TimeContext};
use super::files::{FINGERPRINT_BYTES, read_at};
use super::framing::{End, Framer};
use super::layout::Layout;
use super::reader::READ_BUFFER_BYTES;
use super::text::Encoding;
use crate::config::LayoutSettings;
use crate::ioconnect::folders::unrotated;

/// Returns the offset of the first record whose time is `since` or later, or the end of the file if
/// there is none.
pub(super) fn start_position(
    path: &Path,
    layouts: &[LayoutSettings],
    zone: &TimeZone,
    since: jiff::Timestamp,
) -> io::Result<u64> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let layout = Layout::for_file(&unrotated(&name), layouts);
    let mut clock = Clock::new(zone.clone());
    let since = u64::try_from(since.as_nanosecond()).unwrap_or_default();
    let input = File::open(path)?;
    let first = read_at(&input, 0, FINGERPRINT_BYTES)?;
    let encoding = Encoding::of(&first);
    let mut position = encoding.bom_length(&first) as u64;
    let (mut seen_header, mut in_line, mut previous) = (false, false, None);
    loop {
        let bytes = read_at(&input, position, READ_BUFFER_BYTES)?;
        let end = if bytes.len() < READ_BUFFER_BYTES { End::Closed } else { End::MoreMayCome };
        let text = encoding.text(&bytes);
        let mut framer = Framer::new(&text, &layout, seen_header, in_line, end);
        for record in framer.by_ref() {
            let time = record.header.and_then(|header| header.time);
            let time = time.and_then(|time| clock.unix_nanos(time, TimeContext { observed: 0, previous }));
            previous = time.or(previous);
            if time.is_some_and(|time| time >= since) {
                return Ok(position + encoding.length(&text[..record.start]) as u64);
            }
        }
        let taken = encoding.length(&text[..framer.position()]);
        (seen_header, in_line) = (framer.seen_header(), encoding.is_in_line(&bytes[..taken]));
        position += taken as u64;
        if end == End::Closed || taken == 0 {
            return Ok(position);
        }
    }
}
