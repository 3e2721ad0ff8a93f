//! For any line: the parts of a header are inside the line, and reading its time is deterministic.
#![no_main]

use insights_agent::sources::logs::clock::{Clock, TimeContext};
use insights_agent::sources::logs::layout::Layout;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let layout = Layout::for_file("application.log", &[]);
    let Some(header) = layout.header(line) else { return };
    assert!(header.message_start <= line.len());
    if let (Some(time), Ok(zone)) = (header.time, jiff::tz::TimeZone::get("Europe/London")) {
        let mut clock = Clock::new(zone);
        let context = TimeContext { observed: 1_792_888_200_000_000_000, previous: None };
        assert_eq!(clock.unix_nanos(time, context), clock.unix_nanos(time, context));
    }
});
