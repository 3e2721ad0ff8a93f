//! Reads log files that were rotated and compressed before they were read to their end, which
//! happens while no agent is running.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::files::{FINGERPRINT_BYTES, FileStat, contains_read_part};
use crate::pipeline::queue::FileState;

/// Maximum unpacked size. Log files are rotated at about 10 MiB, and the unpacked content needs
/// space on the disk.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// Unpacks a compressed file into a file without a name, which disappears when it is closed.
/// Returns nothing if the content is not that of the file in `state`.
pub(super) fn unpack(path: &Path, state: &FileState) -> io::Result<Option<File>> {
    let mut decoder = MultiGzDecoder::new(File::open(path)?).take(MAX_UNPACKED_BYTES);
    let mut first = vec![0; FINGERPRINT_BYTES];
    let mut filled = 0;
    while let read @ 1.. = decoder.read(&mut first[filled..])? {
        filled += read;
    }
    first.truncate(filled);
    if !first.starts_with(&state.fingerprint) {
        return Ok(None);
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(&first)?;
    io::copy(&mut decoder, &mut file)?;
    let size = FileStat::of_file(&file)?.size;
    Ok(contains_read_part(&file, size, state)?.then_some(file))
}
