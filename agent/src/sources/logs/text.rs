//! Decodes the bytes of a file to UTF-8, and computes how many bytes of the file a decoded text
//! takes.
//!
//! A file begins with a byte order mark (BOM) or is UTF-8. .NET's `Encoding.Unicode` writes UTF-16
//! with a BOM. Invalid UTF-16 becomes U+FFFD, which takes as many bytes of the file as the code
//! unit that it replaces.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// The text encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// One byte for ASCII.
    Utf8,
    /// Two bytes for most characters, low byte first.
    Utf16Le,
    /// Two bytes for most characters, high byte first.
    Utf16Be,
}

impl Encoding {
    /// Detects the encoding of a file by its first bytes.
    pub(super) fn of(first: &[u8]) -> Self {
        match first {
            [0xFF, 0xFE, ..] => Self::Utf16Le,
            [0xFE, 0xFF, ..] => Self::Utf16Be,
            _ => Self::Utf8,
        }
    }

    /// Returns the length in bytes of the BOM at the start of a file in this encoding.
    pub(super) fn bom_length(self, first: &[u8]) -> usize {
        match self {
            Self::Utf8 if first.starts_with(&[0xEF, 0xBB, 0xBF]) => 3,
            Self::Utf8 => 0,
            Self::Utf16Le | Self::Utf16Be => first.len().min(2),
        }
    }

    /// Decodes bytes that start at a character boundary. An incomplete character at their end is
    /// omitted.
    pub(super) fn text(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self == Self::Utf8 {
            return Cow::Borrowed(bytes);
        }
        let mut units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| self.unit(*pair)).collect();
        units.pop_if(|last| (0xD800..0xDC00).contains(last));
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    }

    /// Returns how many bytes of the file `text` takes. `text` is part of what [`Encoding::text`]
    /// returned.
    pub(super) fn length(self, text: &[u8]) -> usize {
        if self == Self::Utf8 {
            return text.len();
        }
        // Four bytes in UTF-8 are two UTF-16 units of two bytes; every other character is one unit.
        let units = text.iter().map(|byte| match byte {
            0x80..0xC0 => 0,
            0xF0.. => 2,
            _ => 1,
        });
        2 * units.sum::<usize>()
    }

    /// Returns whether the bytes after `before` continue its last line. A BOM is not part of a
    /// line.
    pub(super) fn is_in_line(self, before: &[u8]) -> bool {
        if before.len() == self.bom_length(before) {
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
