//! Reads and writes protobuf's wire format field by field, without generated types (Protocol
//! Buffers, "Encoding").

pub(crate) mod write;

use prost::DecodeError;
use prost::encoding::{WireType, decode_varint, encode_key, encode_varint};

/// Why bytes are not a request.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A field is malformed.
    #[error("a field is longer than its message, or has an unknown wire type")]
    Field,
    /// Messages are nested too deeply.
    #[error("messages are nested more than {} levels deep", super::schema::MAX_DEPTH)]
    TooDeep,
    /// A part of the request cannot be decoded.
    #[error(transparent)]
    Message(#[from] DecodeError),
}

/// Writes a length-delimited field.
pub(crate) fn put(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// A field on the wire.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    /// The bytes of the field, with its tag.
    pub(crate) whole: &'a [u8],
    /// The content of a length-delimited field; none for other wire types.
    pub(crate) content: Option<&'a [u8]>,
}

/// Iterates over the fields of an encoded message. Ends after the first error.
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
            // 3 and 4 are groups, which proto3 does not have.
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
            // Without the length of this field, the start of the next one is unknown.
            self.0 = &[];
        }
        Some(field)
    }
}
