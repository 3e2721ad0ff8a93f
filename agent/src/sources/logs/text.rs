//! From the bytes of a file to UTF-8, with the way back: how many bytes of the file a text takes.
//!
//! Files begin with a byte order mark, or are UTF-8. .NET's `Encoding.Unicode` writes UTF-16 with the mark. What is not
//! valid becomes U+FFFD, which takes as many bytes of the file as the code unit that it stands for.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// How text is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// One byte for ASCII.
    Utf8,
    /// Two bytes for most characters, the lower one first.
    Utf16Le,
    /// Two bytes for most characters, the higher one first.
    Utf16Be,
}

impl Encoding {
    /// That of a file with these first bytes.
    pub(super) fn of(first: &[u8]) -> Self {
        match first {
            [0xFF, 0xFE, ..] => Self::Utf16Le,
            [0xFE, 0xFF, ..] => Self::Utf16Be,
            _ => Self::Utf8,
        }
    }

    /// Bytes of the mark at the begin of such a file.
    pub(super) fn mark(self, first: &[u8]) -> usize {
        match self {
            Self::Utf8 if first.starts_with(&[0xEF, 0xBB, 0xBF]) => 3,
            Self::Utf8 => 0,
            Self::Utf16Le | Self::Utf16Be => first.len().min(2),
        }
    }

    /// The text of some bytes that begin between two characters. A character that is not complete at their end is left
    /// out.
    pub(super) fn text(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self == Self::Utf8 {
            return Cow::Borrowed(bytes);
        }
        let mut units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| self.unit(*pair)).collect();
        units.pop_if(|last| (0xD800..0xDC00).contains(last));
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    }

    /// How many bytes of the file `text` takes, a part of what [`Encoding::text`] gave.
    pub(super) fn length(self, text: &[u8]) -> usize {
        if self == Self::Utf8 {
            return text.len();
        }
        // A character of four bytes in UTF-8 is two units of two bytes, every other one a single unit.
        let units = text.iter().map(|byte| match byte {
            0x80..0xC0 => 0,
            0xF0.. => 2,
            _ => 1,
        });
        2 * units.sum::<usize>()
    }

    /// Whether what follows these bytes of a file goes on in their last line. A mark is no part of a line.
    pub(super) fn is_in_line(self, before: &[u8]) -> bool {
        if before.len() == self.mark(before) {
            return false;
        }
        let last = match self {
            Self::Utf8 => before.last().map(|byte| u16::from(*byte)),
            Self::Utf16Le | Self::Utf16Be => before.last_chunk::<2>().map(|pair| self.unit(*pair)),
        };
        last.is_some_and(|unit| u8::try_from(unit).map_or(true, super::framing::is_in_line))
    }

    fn unit(self, pair: [u8; 2]) -> u16 {
        if self == Self::Utf16Be { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }
}
