//! How the first line of a record begins: time, level, category and the like.
//!
//! The layouts that io.Connect writes, read by one tolerant parser:
//!
//! ```text
//! [2026-11-23T08:18:10.936] [INFO] default - message              log4js, the platform
//! [2026-11-23T08:18:10.936] [INFO] [9816_10] app.main - message   log4js, an app: [instance] category
//! [2026-11-23T08:18:10.936] [ERROR] [30760_11] [app.main] - text  log4js, an app whose logger is named in brackets
//! [2026-11-23 08:18:10,936] [INFO] [12] [component] - message     log4net, the .NET parts: [thread] [component]
//! 2026-11-23 08:18:10,936 [12] INFO  Category - message           log4net as most people configure it
//! ```
//!
//! Sources: <https://docs.interop.io/desktop/capabilities/logging/overview/index.html>, "Understanding logs in
//! io.Connect" on <https://community.interop.io>, and lines that log4js 6.9 wrote with the shipped configuration.
//!
//! A line is a header if it begins with a valid time, which stands in brackets or has a level after it. A zone behind
//! the time (`Z`, `+01:00`) counts. All else is optional, and what is not understood stays in the message.

use jiff::fmt::strtime;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;

use super::clock::LocalTime;
use crate::config::LayoutSettings;
use crate::glob;

mod scan;
#[cfg(test)]
mod tests;

/// A header lies within this many bytes of its line. So a line can be judged before it has ended; and it is far more
/// than time, level, and the longest names of categories take.
pub const HEADER_BYTES: usize = 4096;

/// How the records of one file begin.
#[derive(Debug, Clone)]
pub struct Layout {
    custom: Vec<CustomLayout>,
}

/// What the first line of a record says before its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// When it was written. Only a layout of the company's own may lack it.
    pub time: Option<LocalTime>,
    /// How serious it is.
    pub level: Option<Level<'a>>,
    /// The category (logger, component) that wrote it.
    pub category: Option<&'a [u8]>,
    /// The app instance that wrote it, as in `9816_10`.
    pub instance: Option<&'a [u8]>,
    /// The thread that wrote it: mostly a number, else a name.
    pub thread: Option<&'a [u8]>,
    /// Where in the line the message begins.
    pub message_start: usize,
}

/// A level, as OpenTelemetry's number and as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level<'a> {
    /// The number, `Unspecified` for words that are not known.
    pub severity: SeverityNumber,
    /// The word in the line.
    pub text: &'a [u8],
}

impl Layout {
    /// The layout of the file with this name (without folders): those of `layouts` whose `files` take it, in their order,
    /// then the built-in one. Letter case of file names does not count, as on Windows.
    #[must_use]
    pub fn for_file(file_name: &str, layouts: &[LayoutSettings]) -> Self {
        let custom = layouts.iter().filter(|layout| glob::matches(&layout.files, file_name)).map(CustomLayout::new);
        Self { custom: custom.collect() }
    }

    /// The header at the begin of `line` (its first [`HEADER_BYTES`] suffice, without line end), if there is one.
    #[must_use]
    pub fn header<'a>(&self, line: &'a [u8]) -> Option<Header<'a>> {
        self.custom.iter().find_map(|layout| layout.header(line)).or_else(|| scan::header(line))
    }
}

impl<'a> Level<'a> {
    /// The level that a word stands for, if it is one that is known, in any letter case.
    ///
    /// The numbers are those of OpenTelemetry's log data model, appendix B
    /// (<https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix/>). `CRITICAL` is .NET's highest level, hence
    /// `FATAL`. log4js writes `MARK` whatever the configured level is: a line worth noting that is no fault. That is what
    /// syslog calls notice, and the appendix makes `INFO2` of it.
    #[must_use]
    pub fn known(text: &'a [u8]) -> Option<Self> {
        const LONGEST: usize = 11;
        let mut upper = [0; LONGEST];
        let upper = upper.get_mut(..text.len())?;
        upper.copy_from_slice(text);
        upper.make_ascii_uppercase();
        let severity = match &*upper {
            b"TRACE" | b"VERBOSE" => SeverityNumber::Trace,
            b"DEBUG" => SeverityNumber::Debug,
            b"INFO" | b"INFORMATION" => SeverityNumber::Info,
            b"MARK" | b"NOTICE" => SeverityNumber::Info2,
            b"WARN" | b"WARNING" => SeverityNumber::Warn,
            b"ERROR" => SeverityNumber::Error,
            b"FATAL" | b"CRITICAL" | b"EMERGENCY" => SeverityNumber::Fatal,
            _ => return None,
        };
        Some(Self { severity, text })
    }

    fn of_word(text: &'a [u8]) -> Self {
        Self::known(text).unwrap_or(Self { severity: SeverityNumber::Unspecified, text })
    }
}

/// A layout of the company's own.
#[derive(Debug, Clone)]
struct CustomLayout {
    regex: regex::Regex,
    time_format: String,
}

impl CustomLayout {
    fn new(settings: &LayoutSettings) -> Self {
        Self { regex: settings.pattern.regex().clone(), time_format: settings.time_format.clone() }
    }

    /// The pattern alone decides whether a line is a header: one whose time cannot be read has none.
    fn header<'a>(&self, line: &'a [u8]) -> Option<Header<'a>> {
        let groups = self.regex.captures(valid_text(line))?;
        let group = |name| groups.name(name).map(|group| group.as_str().trim_ascii().as_bytes());
        let group = |name| group(name).filter(|text| !text.is_empty());
        Some(Header {
            time: group("time").and_then(|text| self.time(text)),
            level: group("level").map(Level::of_word),
            category: group("category"),
            instance: group("instance"),
            thread: group("thread"),
            message_start: groups.name("message")?.start(),
        })
    }

    fn time(&self, text: &[u8]) -> Option<LocalTime> {
        let time = strtime::parse(&self.time_format, text).ok()?;
        Some(LocalTime { civil: time.to_datetime().ok()?, offset: time.offset() })
    }
}

/// As much of the line as is text: whatever comes after a byte that is not, belongs to the message.
fn valid_text(line: &[u8]) -> &str {
    line.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}
