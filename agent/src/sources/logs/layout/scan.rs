//! The built-in header parser: one pass over the bytes of a line, without copying.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::{Header, Level};
use crate::sources::logs::clock::LocalTime;

/// Parses the header at the start of `line`, if it has one of the built-in layouts.
pub(super) fn header(line: &[u8]) -> Option<Header<'_>> {
    let mut cursor = Cursor { line, at: 0 };
    // .NET begins UTF-8 files with a byte order mark.
    cursor.take(b"\xEF\xBB\xBF");
    let bracketed = cursor.take(b"[");
    let time = cursor.time()?;
    if bracketed && !cursor.take(b"]") {
        return None;
    }
    let mut header =
        Header { time: Some(time), level: None, category: None, instance: None, thread: None, message_start: 0 };
    cursor.fields(&mut header, bracketed);
    header.message_start = cursor.at;
    (bracketed || header.level.is_some()).then_some(header)
}

struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    fn take(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn skip_spaces(&mut self) {
        while self.take(b" ") {}
    }

    /// Parses everything between the time and the message, including the dash before the message.
    /// Stops before anything that it does not understand.
    fn fields(&mut self, header: &mut Header<'a>, bracketed_time: bool) {
        let mut first = true;
        loop {
            self.skip_spaces();
            if self.take(b"- ") || (self.rest() == b"-" && self.take(b"-")) {
                return;
            }
            let understood = match self.rest().first() {
                Some(b'[') => self.bracket_field(header, first, bracketed_time),
                Some(_) => self.bare_field(header),
                None => false,
            };
            if !understood {
                return;
            }
            first = false;
        }
    }

    fn bracket_field(&mut self, header: &mut Header<'a>, first: bool, bracketed_time: bool) -> bool {
        let Some(length) = self.rest().iter().position(|&byte| byte == b']') else { return false };
        let text = self.rest()[1..length].trim_ascii();
        if text.is_empty() || text == b"(null)" {
            // log4js and log4net write these for a property that is not set.
        } else if let Some(level) = Level::known(text).filter(|_| header.level.is_none()) {
            header.level = Some(level);
        } else if text.iter().all(u8::is_ascii_digit) && header.thread.is_none() {
            header.thread = Some(text);
        } else if is_instance_id(text) && header.instance.is_none() {
            header.instance = Some(text);
        } else if header.level.is_none() && !bracketed_time && header.thread.is_none() {
            // log4net: `time [thread] LEVEL`. Pool threads have names.
            header.thread = Some(text);
        } else if header.level.is_none() && first && is_upper_word(text) {
            // log4js writes levels in upper case, including levels that a company adds.
            header.level = Some(Level::of_word(text));
        } else if header.category.is_none() {
            header.category = Some(text);
        } else {
            return false;
        }
        self.at += length + 1;
        true
    }

    fn bare_field(&mut self, header: &mut Header<'a>) -> bool {
        let rest = self.rest();
        let word = rest.split(|&byte| byte == b' ').next().unwrap_or(rest);
        if header.level.is_none()
            && is_upper_word(word)
            && let Some(level) = Level::known(word)
        {
            header.level = Some(level);
            self.at += word.len();
            return true;
        }
        if header.category.is_some() {
            return false;
        }
        let after = &rest[word.len()..];
        let length = if after.starts_with(b" - ") || after == b" -" || after.starts_with(b" [(null)] - ") {
            word.len()
        } else if header.instance.is_some()
            && let Some(length) = rest.windows(3).position(|window| window == b" - ")
        {
            // Only the layout of app logs has an instance, and its logger always ends with a dash:
            // the name of an app may contain spaces.
            length
        } else {
            return false;
        };
        header.category = Some(&rest[..length]);
        self.at += length;
        true
    }

    /// Parses a time such as `2026-11-23T08:18:10.936`: with `T` or a space, `.` or `,`, up to nine
    /// fraction digits or none, with or without a time zone.
    fn time(&mut self) -> Option<LocalTime> {
        let text: &[u8; 19] = self.rest().first_chunk()?;
        let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', _, _, b':', _, _, b':', _, _] = text else { return None };
        let pair = |at: usize| two_digits([text[at], text[at + 1]]);
        let year = i16::from(pair(0)?) * 100 + i16::from(pair(2)?);
        let (month, day, hour, minute, second) = (pair(5)?, pair(8)?, pair(11)?, pair(14)?, pair(17)?);
        self.at += text.len();
        let nanosecond = if self.take(b".") || self.take(b",") { self.fraction()? } else { 0 };
        let civil = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
        Some(LocalTime { civil, offset: self.zone() })
    }

    fn fraction(&mut self) -> Option<i32> {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        self.at += digits;
        let value = rest[..digits].iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
        Some(value * 10_i32.pow(u32::try_from(9 - digits).ok()?))
    }

    /// Parses an offset from UTC, if a valid one comes next.
    fn zone(&mut self) -> Option<Offset> {
        if self.take(b"Z") {
            return Some(Offset::UTC);
        }
        let (sign, hours, minutes, length) = match *self.rest() {
            [sign, h1, h2, b':', m1, m2, ..] => (sign, [h1, h2], [m1, m2], 6),
            [sign, h1, h2, m1, m2, ..] => (sign, [h1, h2], [m1, m2], 5),
            _ => return None,
        };
        let sign = match sign {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = (two_digits(hours)?, two_digits(minutes).filter(|&minutes| minutes < 60)?);
        let offset = Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()?;
        self.at += length;
        Some(offset)
    }
}

fn two_digits([tens, ones]: [u8; 2]) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| (byte - b'0').cast_signed());
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Returns whether the text is an instance id such as `9816_10`: the process id of the platform,
/// and a counter.
fn is_instance_id(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |&byte| byte == b'_');
    let mut number = || parts.next().is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
    number() && number()
}

fn is_upper_word(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'0'..=b'9'))
}
