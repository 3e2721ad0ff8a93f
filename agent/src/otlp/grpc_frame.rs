//! gRPC message framing: the five bytes in front of each message of a call.
//!
//! Byte 0 is the compressed flag (0 or 1), bytes 1 to 4 are the length of the message in big-endian
//! order, and the message follows (gRPC over HTTP/2, section "Length-Prefixed-Message"). Every OTLP
//! call carries exactly one message in each direction.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Length of the prefix in front of a message.
pub(crate) const PREFIX_LENGTH: usize = 5;

/// Why the body of a call is not one framed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The body is shorter than a prefix.
    #[error("the call has no message")]
    NoMessage,
    /// The length in the prefix is not the number of bytes that follow.
    #[error("the length in the message prefix does not match the length of the body")]
    Length,
    /// The flag is neither 0 nor 1.
    #[error("the compressed flag of the message must be 0 or 1")]
    Flag,
}

/// Returns a message with its prefix.
pub(crate) fn encode(is_compressed: bool, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_LENGTH + message.len());
    frame.put_u8(u8::from(is_compressed));
    // Every caller limits messages to far less than 4 GiB.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Checks that a body is one framed message, and returns whether that message is compressed. The
/// message itself starts at [`PREFIX_LENGTH`].
///
/// # Errors
/// See [`FrameError`].
pub(crate) fn check(mut body: &[u8]) -> Result<bool, FrameError> {
    if body.len() < PREFIX_LENGTH {
        return Err(FrameError::NoMessage);
    }
    let (flag, length) = (body.get_u8(), body.get_u32());
    if usize::try_from(length) != Ok(body.len()) {
        return Err(FrameError::Length);
    }
    match flag {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FrameError::Flag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_frame_passes_check_with_its_flag() {
        for is_compressed in [false, true] {
            let frame = encode(is_compressed, b"message");
            assert_eq!(check(&frame), Ok(is_compressed));
            assert_eq!(&frame[PREFIX_LENGTH..], b"message");
        }
    }

    #[test]
    fn frame_is_rejected_when_prefix_is_wrong() {
        assert_eq!(check(b"\0\0\0\0"), Err(FrameError::NoMessage));
        assert_eq!(check(b"\0\0\0\0\x02m"), Err(FrameError::Length), "too short");
        assert_eq!(check(b"\0\0\0\0\0m"), Err(FrameError::Length), "a second message");
        assert_eq!(check(b"\x02\0\0\0\x01m"), Err(FrameError::Flag));
    }
}
