//! Parses the header of a record's first line: time, level, category and more.
//!
//! One tolerant parser reads the layouts that io.Connect writes:
//!
//! ```text
//! log4js, the platform
//!   [2026-11-23T08:18:10.936] [INFO] default - message
//! log4js, an app: [instance] category
//!   [2026-11-23T08:18:10.936] [INFO] [9816_10] app.main - message
//! log4js, an app whose logger is named in brackets
//!   [2026-11-23T08:18:10.936] [ERROR] [30760_11] [app.main] - text
//! log4net, the .NET parts: [thread] [component]
//!   [2026-11-23 08:18:10,936] [INFO] [12] [component] - message
//! log4net, the usual configuration
//!   2026-11-23 08:18:10,936 [12] INFO  Category - message
//! ```
//!
//! Sources: <https://docs.interop.io/desktop/capabilities/logging/overview/index.html>,
//! "Understanding logs in io.Connect" on <https://community.interop.io>, and lines that log4js 6.9
//! wrote with the shipped configuration.
//!
//! A line has a header if it starts with a valid time that is in brackets or followed by a level. A
//! time zone after the time (`Z`, `+01:00`) is used. Everything else is optional, and what is not
//! understood stays in the message.

use jiff::fmt::strtime;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;

use super::clock::LocalTime;
use crate::config::LayoutSettings;
use crate::glob;

mod scan;
#[cfg(test)]
mod tests;

/// A header is within this many bytes of its line, so a line can be classified before it is
/// complete. This is far more than a time, a level and the longest category names need.
pub const HEADER_BYTES: usize = 4096;

/// The header layouts of one file.
#[derive(Debug, Clone)]
pub struct Layout {
    custom: Vec<CustomLayout>,
}

/// The parts of a record's first line before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// When it was written. Only custom layouts may lack it.
    pub time: Option<LocalTime>,
    /// Its severity.
    pub level: Option<Level<'a>>,
    /// The category (logger, component) that wrote it.
    pub category: Option<&'a [u8]>,
    /// The app instance that wrote it, as in `9816_10`.
    pub instance: Option<&'a [u8]>,
    /// The thread that wrote it: usually a number, otherwise a name.
    pub thread: Option<&'a [u8]>,
    /// The offset in the line at which the message begins.
    pub message_start: usize,
}

/// A log level: OpenTelemetry's number and the text in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level<'a> {
    /// The severity number, `Unspecified` for unknown words.
    pub severity: SeverityNumber,
    /// The word in the line.
    pub text: &'a [u8],
}

impl Layout {
    /// Returns the layout of the file with this name (without folders): those of `layouts` whose
    /// `files` pattern matches, in their order, then the built-in one. File names are matched
    /// without regard to letter case, as on Windows.
    #[must_use]
    pub fn for_file(file_name: &str, layouts: &[LayoutSettings]) -> Self {
        let custom = layouts.iter().filter(|layout| glob::matches(&layout.files, file_name)).map(CustomLayout::new);
        Self { custom: custom.collect() }
    }

    /// Parses the header at the start of `line`, if there is one. The first [`HEADER_BYTES`] of the
    /// line without its line end are enough.
    #[must_use]
    pub fn header<'a>(&self, line: &'a [u8]) -> Option<Header<'a>> {
        self.custom.iter().find_map(|layout| layout.header(line)).or_else(|| scan::header(line))
    }
}

impl<'a> Level<'a> {
    /// Returns the level for a known word, in any letter case.
    ///
    /// The numbers are from OpenTelemetry's log data model, appendix B
    /// (<https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix/>). `CRITICAL` is .NET's
    /// highest level, therefore `FATAL`. log4js writes `MARK` at every configured level: a notable
    /// line that is not an error. Syslog calls that notice, which the appendix maps to `INFO2`.
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

/// A layout from the settings.
#[derive(Debug, Clone)]
struct CustomLayout {
    regex: regex::Regex,
    time_format: String,
}

impl CustomLayout {
    fn new(settings: &LayoutSettings) -> Self {
        Self { regex: settings.pattern.regex().clone(), time_format: settings.time_format.clone() }
    }

    /// The pattern alone decides whether a line is a header. If its time cannot be parsed, the
    /// header has none.
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

/// Returns the valid UTF-8 at the start of the line. Everything after an invalid byte belongs to
/// the message.
fn valid_text(line: &[u8]) -> &str {
    line.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}
