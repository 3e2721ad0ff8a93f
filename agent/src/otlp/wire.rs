//! Protobuf's wire, field by field (Protocol Buffers, "Encoding").

pub(crate) mod write;

use prost::DecodeError;
use prost::encoding::{WireType, decode_varint, encode_key, encode_varint};

/// Why a request cannot be walked.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A part of it.
    #[error("a field is longer than its message, or of a kind that does not exist")]
    Field,
    /// Messages in messages.
    #[error("messages lie more than {} deep in each other", super::schema::DEEPEST)]
    Deep,
    /// A resource.
    #[error(transparent)]
    Message(#[from] DecodeError),
}

/// Writes a field that has a length.
pub(crate) fn put(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// A field on the wire.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    /// With its tag.
    pub(crate) whole: &'a [u8],
    /// What is in it, if it has a length.
    pub(crate) content: Option<&'a [u8]>,
}

/// The fields of a message.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.0;
        let tag = decode_varint(&mut self.0)?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Field)?;
        let mut content = None;
        match tag & 7 {
            0 => {
                decode_varint(&mut self.0)?;
            }
            1 => {
                self.take(8)?;
            }
            2 => {
                let length = decode_varint(&mut self.0)?;
                content = Some(self.take(length)?);
            }
            5 => {
                self.take(4)?;
            }
            // Groups are from before proto3.
            _ => return Err(WireError::Field),
        }
        let whole = start.get(..start.len() - self.0.len()).unwrap_or_default();
        Ok(Field { number, whole, content })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Field)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Field)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            // What follows cannot be told apart.
            self.0 = &[];
        }
        Some(field)
    }
}
