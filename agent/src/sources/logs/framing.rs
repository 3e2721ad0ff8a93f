//! Splits the bytes of a log file into records.
//!
//! A record begins with a line that has a header and extends to the next such line. A file in which
//! no header has been seen is plain text: each line is a record.
//!
//! The file itself is the buffer. Between two reads, only three things are remembered: the
//! position, which is always between two records; whether a header has been seen; and whether the
//! position is inside a line because the start of that line was already taken as a record. The rest
//! of such a line never has a header.
//!
//! Invariants, held by property tests:
//! - Every byte belongs to exactly one record, or to the blank lines and zero bytes that are
//!   skipped between records. (Zeros remain after a system crash, or when a file is truncated while
//!   its writer has it open.)
//! - The records returned with [`End::MoreMayCome`] do not depend on how much of the file has been
//!   read so far.
//! - [`WINDOW_BYTES`] always contain a complete record, so a reader with a buffer of that size
//!   never gets stuck.

use super::layout::{HEADER_BYTES, Header, Layout};

#[cfg(test)]
mod tests;

/// Maximum record size; longer records are cut. Log backends accept lines of 256 KiB (Grafana
/// Loki's default of `max_line_size`), and a gRPC message may have 4 MiB, so several such records
/// still fit into one request.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// The longest record, plus enough bytes to see whether the next line begins a new one.
pub const WINDOW_BYTES: usize = MAX_RECORD_BYTES + HEADER_BYTES;

/// What comes after the available bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Unknown: the file is growing, or has not been read to its end. A record is complete when the
    /// next one begins.
    MoreMayCome,
    /// The bytes reach the end of the file, and it has been quiet for a while: complete lines are
    /// final. An unfinished last line still waits for its end.
    Idle,
    /// The bytes reach the end of the file, and its last line has been unfinished for so long that
    /// it is taken as it is, up to its last complete character.
    Stalled,
    /// The bytes reach the end of the file, and no one writes to it any more: everything is
    /// complete.
    Closed,
}

/// One record in the bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its start in the bytes that were passed to [`Framer::new`].
    pub start: usize,
    /// The header of its first line.
    pub header: Option<Header<'a>>,
    /// The message with all its lines as they were written, without the last line end. Not always
    /// UTF-8.
    pub message: &'a [u8],
    /// It continues a record that was taken before: it has no header although other records of the
    /// file do, or it begins inside a line.
    pub continuation: bool,
    /// It was too long, or became too long with its next line. The next record continues where it
    /// ends.
    pub cut: bool,
    /// Its last line had no line end when it was taken.
    pub unfinished: bool,
}

/// Iterates over the records in the bytes of a file. Ends at the first record that is not complete
/// yet.
#[derive(Debug, Clone)]
pub struct Framer<'a> {
    bytes: &'a [u8],
    layout: &'a Layout,
    end: End,
    position: usize,
    seen_header: bool,
    in_line: bool,
    /// The line at `position`, if it was already parsed while searching for the end of the previous
    /// record.
    next_line: Option<Line<'a>>,
}

impl<'a> Framer<'a> {
    /// Creates a framer for bytes that start between two records of a file. `seen_header` is the
    /// value of [`Framer::seen_header`] at that position, false at the start of a file. `in_line`
    /// says that a record ended there inside a line: [`is_in_line`] of the byte before.
    #[must_use]
    pub fn new(bytes: &'a [u8], layout: &'a Layout, seen_header: bool, in_line: bool, end: End) -> Self {
        Self { bytes, layout, end, position: 0, seen_header, in_line, next_line: None }
    }

    /// Returns the number of bytes taken, blank lines between records included.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Returns whether a header has been seen in this file up to [`Framer::position`].
    #[must_use]
    pub fn seen_header(&self) -> bool {
        self.seen_header
    }
}

impl<'a> Iterator for Framer<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            self.skip_zeros();
            let start = self.position;
            let in_line = start.checked_sub(1).map_or(self.in_line, |before| is_in_line(self.bytes[before]));
            let mut first = self.next_line.take().unwrap_or_else(|| self.line(start, start));
            if in_line {
                first.header = None;
            }
            let (end, cut) = self.end_of_record(start, &first)?;
            let header = first.header;
            let message_start = start + header.map_or(0, |header| header.message_start);
            let record = Record {
                start,
                header,
                message: trim_line_ends(&self.bytes[message_start..end]),
                continuation: header.is_none() && (self.seen_header || in_line),
                cut,
                unfinished: !cut && is_in_line(self.bytes[end - 1]),
            };
            self.position = end;
            self.seen_header |= header.is_some();
            if header.is_some() || !record.message.is_empty() {
                return Some(record);
            }
        }
    }
}

/// A line that may be unfinished.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    header: Option<Header<'a>>,
    /// The end of the line, including its line end; nothing if that is not available, or too far
    /// away to matter.
    end: Option<usize>,
}

impl<'a> Framer<'a> {
    fn skip_zeros(&mut self) {
        let rest = &self.bytes[self.position..];
        let zeros = rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len());
        if zeros > 0 {
            self.position += zeros;
            self.next_line = None;
        }
    }

    /// Returns where the record that begins at `start` ends and whether it was cut, or nothing if
    /// that is not known yet.
    ///
    /// The decision uses only bytes that are available, never the fact that some are not available
    /// yet. Therefore the records do not depend on how the file was read.
    fn end_of_record(&mut self, start: usize, first: &Line<'a>) -> Option<(usize, bool)> {
        let at_hand = self.bytes.len();
        let limit = start + MAX_RECORD_BYTES;
        let too_long = |line: &Line<'_>| line.end.unwrap_or(at_hand) > limit;
        let mut end = match first.end {
            _ if too_long(first) => return Some((character_start(self.bytes, limit), true)),
            Some(end) => end,
            None => return self.end_of_unfinished().filter(|&end| end > start).map(|end| (end, false)),
        };
        if first.header.is_none() && !self.seen_header {
            return Some((end, false));
        }
        loop {
            if self.bytes.get(end) == Some(&0) {
                return Some((end, false));
            }
            let next = self.line(start, end);
            let unfinished = self.end_of_unfinished();
            let has_its_head = next.end.is_some() || at_hand - end >= HEADER_BYTES || unfinished.is_some();
            if has_its_head && next.header.is_some() {
                self.next_line = next.end.is_some().then_some(next);
                return Some((end, false));
            }
            if has_its_head && too_long(&next) {
                return Some((end, true));
            }
            end = match (next.end, unfinished) {
                (Some(end), _) => end,
                (None, Some(unfinished)) => return Some((end.max(unfinished), false)),
                (None, None) if self.end == End::Idle => return Some((end, false)),
                (None, None) => return None,
            };
        }
    }

    /// Returns where an unfinished last line ends, if it is to be taken now.
    fn end_of_unfinished(&self) -> Option<usize> {
        match self.end {
            End::MoreMayCome | End::Idle => None,
            End::Stalled => Some(end_of_last_character(self.bytes)),
            End::Closed => Some(self.bytes.len()),
        }
    }

    /// Parses the line at `from` as a part of the record that begins at `record_start`.
    fn line(&self, record_start: usize, from: usize) -> Line<'a> {
        let bytes = &self.bytes[from..self.bytes.len().min(record_start + WINDOW_BYTES)];
        let newline = memchr::memchr(b'\n', bytes);
        let head = &bytes[..newline.unwrap_or(bytes.len()).min(HEADER_BYTES)];
        let header = self.layout.header(head.strip_suffix(b"\r").unwrap_or(head));
        Line { header, end: newline.map(|at| from + at + 1) }
    }
}

/// Returns whether the bytes after this one continue its line. After a zero byte a new line begins.
#[must_use]
pub fn is_in_line(byte: u8) -> bool {
    !matches!(byte, b'\n' | 0)
}

/// Returns the end of the last complete character.
fn end_of_last_character(bytes: &[u8]) -> usize {
    let (at, lead) = match bytes.iter().rposition(|byte| byte & 0xC0 != 0x80) {
        Some(at) => (at, bytes[at]),
        None => return bytes.len(),
    };
    let length = match lead {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    if bytes.len() - at < length { at } else { bytes.len() }
}

/// Returns `at`, or the start of the character that `at` would split.
fn character_start(bytes: &[u8], at: usize) -> usize {
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let longest_character = 4;
    (at - (longest_character - 1)..=at).rev().find(|at| !continues(at)).unwrap_or(at)
}

fn trim_line_ends(mut text: &[u8]) -> &[u8] {
    while let Some((b'\n' | b'\r', before)) = text.split_last() {
        text = before;
    }
    text
}
