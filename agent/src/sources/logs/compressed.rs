//! Log files that were rotated and compressed before they had been read to their end, as happens while no agent runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::files::{FINGERPRINT_BYTES, Looked, holds_what_was_taken};
use crate::pipeline::queue::FileState;

/// Larger files are left: log files are rotated at some 10 MiB, and what is unpacked takes room on the disk.
const MOST_BYTES: u64 = 1 << 30;

/// The content of a compressed file, in a file without a name that is gone once it is closed; nothing if it is not that of
/// the file that `state` speaks of.
pub(super) fn unpack(path: &Path, state: &FileState) -> io::Result<Option<File>> {
    let mut packed = MultiGzDecoder::new(File::open(path)?).take(MOST_BYTES);
    let mut first = vec![0; FINGERPRINT_BYTES];
    let mut filled = 0;
    while let read @ 1.. = packed.read(&mut first[filled..])? {
        filled += read;
    }
    first.truncate(filled);
    if !first.starts_with(&state.fingerprint) {
        return Ok(None);
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(&first)?;
    io::copy(&mut packed, &mut file)?;
    let size = Looked::of(&file)?.size;
    Ok(holds_what_was_taken(&file, size, state)?.then_some(file))
}
