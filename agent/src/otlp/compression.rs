//! Compression of payloads: once, on the way into the queue, in the form that the wire wants.

use std::io::{Read, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Level of gzip: on log batches 4 makes a third less than 1 for half as much time again; 6 saves another tenth for twice the time.
const GZIP_LEVEL: u32 = 4;
/// Level of zstd: its fastest ordinary level.
const ZSTD_LEVEL: i32 = 1;
/// Largest window of zstd that is taken, as a power of two: 8 MiB, what every decoder has to take (RFC 8878, section 3.1.1.1.2);
/// a frame may ask for gigabytes.
const ZSTD_WINDOW_LOG: u32 = 23;

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
    /// `content-encoding` and `grpc-encoding`; also how the queue's file names it.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::None => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The compression of a token, if it is one that this program writes.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Zstd].into_iter().find(|one| one.token() == token)
    }

    /// What the queue stores when the wire wants this: disk is always worth compressing.
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

/// Undoes [`compress`], up to `limit` bytes.
///
/// # Errors
/// When the bytes are damaged, or would become more than `limit`.
pub fn decompress(compression: Compression, bytes: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let zstd = || {
        let mut decoder = zstd::stream::read::Decoder::new(bytes)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
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
