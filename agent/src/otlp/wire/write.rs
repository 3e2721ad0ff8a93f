//! Writes the parts of protobuf's wire format (<https://protobuf.dev/programming-guides/encoding/>)
//! that log records need. Field numbers are at most 15, so that a key is one byte.

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// Returns the key of a length-delimited field.
pub(crate) const fn delimited_key(number: u8) -> u8 {
    number << 3 | DELIMITED
}

/// Writes a field of eight bytes.
pub(crate) fn put_fixed64(buffer: &mut Vec<u8>, number: u8, value: u64) {
    buffer.push(number << 3 | FIXED64);
    buffer.extend_from_slice(&value.to_le_bytes());
}

/// Writes a field of four bytes.
pub(crate) fn put_fixed32(buffer: &mut Vec<u8>, number: u8, value: u32) {
    buffer.push(number << 3 | FIXED32);
    buffer.extend_from_slice(&value.to_le_bytes());
}

/// Writes a non-negative integer, boolean or enumeration field.
pub(crate) fn put_unsigned(buffer: &mut Vec<u8>, number: u8, value: u64) {
    buffer.push(number << 3 | VARINT);
    put_varint(buffer, value);
}

/// Writes a length-delimited field that contains `bytes`.
pub(crate) fn put_delimited(buffer: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    buffer.push(delimited_key(number));
    put_varint(buffer, bytes.len() as u64);
    buffer.extend_from_slice(bytes);
}

/// Writes a number of variable length.
pub(crate) fn put_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    buffer.push(value.to_le_bytes()[0]);
}

/// Returns how many bytes [`put_varint`] writes.
pub(crate) const fn varint_length(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Inserts the length of everything written since `start` before it.
pub(crate) fn put_length_before(buffer: &mut Vec<u8>, start: usize) {
    let length = buffer.len() - start;
    put_varint(buffer, length as u64);
    buffer[start..].rotate_right(varint_length(length as u64));
}

/// Text that may not be valid UTF-8. It is written as UTF-8, with U+FFFD for invalid bytes.
#[derive(Clone, Copy)]
pub(crate) struct LossyText<'a> {
    bytes: &'a [u8],
    length: usize,
    valid: bool,
}

impl<'a> LossyText<'a> {
    const REPLACEMENT: &'static [u8] = "\u{FFFD}".as_bytes();

    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        if std::str::from_utf8(bytes).is_ok() {
            return Self { bytes, length: bytes.len(), valid: true };
        }
        let replacement = |chunk: &std::str::Utf8Chunk<'_>| {
            if chunk.invalid().is_empty() { 0 } else { Self::REPLACEMENT.len() }
        };
        let length = bytes.utf8_chunks().map(|chunk| chunk.valid().len() + replacement(&chunk)).sum();
        Self { bytes, length, valid: false }
    }

    /// Returns the length of the field that [`LossyText::put`] writes.
    pub(crate) fn field_length(self) -> usize {
        1 + varint_length(self.length as u64) + self.length
    }

    /// Writes the text as the field `number`.
    pub(crate) fn put(self, buffer: &mut Vec<u8>, number: u8) {
        buffer.push(delimited_key(number));
        put_varint(buffer, self.length as u64);
        if self.valid {
            buffer.extend_from_slice(self.bytes);
            return;
        }
        for chunk in self.bytes.utf8_chunks() {
            buffer.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                buffer.extend_from_slice(Self::REPLACEMENT);
            }
        }
    }
}
