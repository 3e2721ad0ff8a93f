//! Compression of payloads. A payload is compressed once, before it enters the queue, in the form
//! that the collector expects.

use std::io::{Read, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Compression level of gzip. On log batches, level 4 is a third smaller than level 1 and takes
/// half as much time again; level 6 saves another tenth and takes twice the time.
const GZIP_LEVEL: u32 = 4;
/// Compression level of zstd: its fastest ordinary level.
const ZSTD_LEVEL: i32 = 1;
/// Maximum zstd window that is accepted, as a power of two: 8 MiB, which every decoder should
/// support (RFC 8878, section 3.1.1.1.2). A frame could otherwise request gigabytes.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// Compression of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// No compression.
    None,
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Returns the value for `content-encoding` and `grpc-encoding`, which is also the name in the
    /// queue file.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::None => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the compression with this token; none if this program does not support it.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Zstd].into_iter().find(|one| one.token() == token)
    }

    /// Returns the compression in the queue for this compression on the wire. The queue never
    /// stores payloads uncompressed, to save disk space.
    #[must_use]
    pub const fn stored(self) -> Self {
        match self {
            Self::None | Self::Gzip => Self::Gzip,
            Self::Zstd => Self::Zstd,
        }
    }
}

/// Compresses a payload.
///
/// # Errors
/// Only if the compressor cannot allocate.
pub fn compress(compression: Compression, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => {
            let out = Vec::with_capacity(bytes.len() / 8);
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
    }
}

/// Decompresses a payload to at most `limit` bytes.
///
/// # Errors
/// When the bytes are damaged, or the result would be larger than `limit`.
pub fn decompress(compression: Compression, bytes: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let zstd = || {
        let mut decoder = zstd::stream::read::Decoder::new(bytes)?;
        decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
        std::io::Result::Ok(decoder)
    };
    let reader: Box<dyn Read + '_> = match compression {
        Compression::None => Box::new(bytes),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        Compression::Zstd => Box::new(zstd()?),
    };
    let mut out = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut out)?;
    if out.len() > limit {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("more than {limit} bytes when decompressed"),
        ));
    }
    Ok(out)
}
