//! The tailed files: their identity, their handle and their state.
//!
//! Identity: the volume and the file number on it, the first bytes (fingerprint), and the bytes
//! before the position (guard). A renamed file keeps its position. A file that is now shorter than
//! its position, begins with other bytes, or has other bytes before its position was truncated or
//! overwritten, or is another file with the same number. It is read from its beginning under a new
//! id.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::LogContext;
use super::encode::FileOrigin;
use super::filter::{FilterState, Filters};
use super::framing::End;
use super::layout::Layout;
use super::prepare::FilePipeline;
use super::text::Encoding;
use crate::consent::LogKind;
use crate::ioconnect::folders::{app_name, env_region, unrotated};
use crate::pipeline::queue::FileState;

/// Number of first bytes that are compared: a few lines, which begin with a time in milliseconds.
pub(super) const FINGERPRINT_BYTES: usize = 256;
/// Number of bytes before the position that are compared: the end of a line, usually all of it.
const GUARD_BYTES: usize = 64;
/// An unfinished last line is exported as it is after this many flush intervals. With the default
/// interval that is 10 s: programs that buffer their output hold the rest back for seconds, not
/// longer.
const UNFINISHED_LINE_FLUSH_INTERVALS: u32 = 20;
/// How long a file that is no longer in its folder is read: a program that has it open may still
/// write to it. On Windows an open handle can prevent a deleted file's name from being used again,
/// so it is closed at once.
const DRAIN_TIMEOUT: Duration = if cfg!(windows) { Duration::ZERO } else { Duration::from_secs(2) };
/// How long a quiet file is kept open. An open file can be read to its end even if it is renamed or
/// deleted; a closed one does not block anyone who wants to move its folder.
const QUIET_FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// How the system identifies a file: the volume, and the number on it (inode, file index).
pub(super) type FileKey = (u64, u64);

/// A file that is being tailed.
pub(super) struct TailedFile {
    /// Where it was last seen.
    pub(super) path: PathBuf,
    /// Its exported name: redacted, without folders.
    exported_name: String,
    pub(super) state: FileState,
    pub(super) layout: Layout,
    pub(super) pipeline: FilePipeline,
    /// Its size at the last check.
    pub(super) size: u64,
    /// Its modification time at the last check. A file can be truncated and grow to the same size
    /// again.
    modified: Option<SystemTime>,
    /// When its size or modification time was last seen to change.
    pub(super) last_change: Instant,
    /// One turn could not read all of it.
    pub(super) backlog: bool,
    /// The end state with which its end was last read, cleared by a change. Bytes may remain
    /// unread: the start of an incomplete record.
    last_eof: Option<End>,
    /// Since when it is not in its folder.
    pub(super) missing_since: Option<Instant>,
    /// The open file, kept while the file is being written.
    handle: Option<File>,
    /// `handle` is its unpacked content.
    pub(super) is_unpacked: bool,
    /// The file that it is a copy of. The content is read there.
    pub(super) copy_of: Option<FileKey>,
}

impl TailedFile {
    /// Creates a file that was found in a folder.
    pub(super) fn new(state: FileState, path: &Path, context: &LogContext, stat: &FileStat, now: Instant) -> Self {
        let mut file = Self::missing(state, context, now);
        file.found_at(path, context, stat, now);
        file
    }

    /// Creates a file that was tailed before and has not been found again yet.
    pub(super) fn missing(state: FileState, context: &LogContext, now: Instant) -> Self {
        let mut file = Self {
            path: PathBuf::from(&state.path),
            exported_name: String::new(),
            layout: Layout::for_file("", &[]),
            pipeline: FilePipeline {
                origin: FileOrigin::new(&state.id, "", None, None),
                filters: Filters::default(),
                filter_state: FilterState::default(),
                last_time: None,
            },
            size: state.position,
            modified: None,
            last_change: now,
            backlog: false,
            last_eof: None,
            missing_since: Some(now),
            handle: None,
            is_unpacked: false,
            copy_of: None,
            state,
        };
        file.apply_name(context);
        file
    }

    /// Creates a file from its unpacked content, which has the key of the compressed file.
    pub(super) fn unpacked(state: FileState, bytes: File, context: &LogContext, now: Instant) -> Self {
        let mut file = Self::missing(state, context, now);
        file.handle = Some(bytes);
        file.is_unpacked = true;
        file.refresh_stat(now);
        file
    }

    /// Records where the file is and how large it is.
    pub(super) fn found_at(&mut self, path: &Path, context: &LogContext, stat: &FileStat, now: Instant) {
        let place = path.to_string_lossy();
        path.clone_into(&mut self.path);
        if self.state.path != place {
            self.state.path = place.into_owned();
            self.apply_name(context);
        }
        self.missing_since = None;
        self.update_stat(stat, now);
    }

    /// Updates everything that depends on its name.
    fn apply_name(&mut self, context: &LogContext) {
        let name = file_name(Path::new(&self.state.path));
        let (stem, ending) = name.split_at(name.find(".log").unwrap_or(name.len()));
        self.exported_name = format!("{}{ending}", context.redactor.redact(stem));
        let original = unrotated(&name);
        self.layout = Layout::for_file(&original, &context.settings.layouts);
        self.pipeline.filters = Filters::for_file(&original, &context.settings);
        self.set_origin();
    }

    fn set_origin(&mut self) {
        let name = &self.exported_name;
        let app = match self.state.kind {
            LogKind::Platform => None,
            LogKind::Applications => app_name(name),
        };
        let env_region = env_region(Path::new(&self.state.path));
        self.pipeline.origin = FileOrigin::new(&self.state.id, name, env_region.as_deref(), app);
    }

    /// Starts over: it is another file although the system identifies it as the same.
    pub(super) fn restart(&mut self, stat: &FileStat) {
        self.state = initial_state(self.state.kind, &self.path, stat);
        self.set_origin();
        self.last_eof = None;
        self.pipeline.filter_state = FilterState::default();
        self.pipeline.last_time = None;
        self.size = stat.size;
    }

    /// Continues where another file ended. This file contains everything that was read of it.
    pub(super) fn continue_from(&mut self, from: &FileState) {
        let FileState { path, volume, index, .. } = self.state.clone();
        self.state = FileState { path, volume, index, ..from.clone() };
        self.set_origin();
        self.copy_of = None;
        self.last_eof = None;
    }

    /// Skips everything that it holds now.
    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        let input = self.handle.as_ref().ok_or(io::ErrorKind::NotFound)?;
        self.copy_of = None;
        set_position(input, &mut self.state, self.size)
    }

    /// Returns its handle, opened if necessary. An open file can be read to its end wherever it is
    /// moved.
    pub(super) fn open(&mut self) -> io::Result<&File> {
        let input = match self.handle.take() {
            Some(input) => input,
            None => File::open(&self.path)?,
        };
        Ok(self.handle.insert(input))
    }

    /// Reads from its position until the buffer is full or the file ends, and returns the number of
    /// bytes. Returns nothing if it is no longer the same file. That is checked after reading, so
    /// that the bytes in the buffer belong to the file that was checked.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let input = self.handle.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let read = read_full(input, self.state.position, buffer)?;
        let size = FileStat::of_file(input)?.size;
        Ok(is_same_file(input, size, &mut self.state)?.then_some(read))
    }

    /// Closes its handle.
    pub(super) fn close(&mut self) {
        self.is_unpacked = false;
        self.handle = None;
    }

    /// Returns whether its handle is open.
    pub(super) fn is_open(&self) -> bool {
        self.handle.is_some()
    }

    /// Returns whether its handle can be closed.
    pub(super) fn is_quiet(&self) -> bool {
        self.missing_since.is_none()
            && self.size == self.state.position
            && self.last_change.elapsed() >= QUIET_FILE_TIMEOUT
    }

    /// Updates its size and modification time, if it is open.
    pub(super) fn refresh_stat(&mut self, now: Instant) {
        if let Some(stat) = self.handle.as_ref().and_then(|input| FileStat::of_file(input).ok()) {
            self.update_stat(&stat, now);
        }
    }

    /// Records the size and modification time that the system reports.
    pub(super) fn update_stat(&mut self, stat: &FileStat, now: Instant) {
        if (stat.size, stat.modified) != (self.size, self.modified) {
            (self.size, self.modified) = (stat.size, stat.modified);
            self.last_change = now;
            self.last_eof = None;
        }
    }

    /// Returns when there may be something to read. `flush` is the maximum time that a record waits
    /// for a continuation line.
    pub(super) fn due(&self, flush: Duration) -> Option<Instant> {
        let away = self.missing_since.is_some() && !self.is_open();
        let all_taken = self.size == self.state.position;
        match self.last_eof {
            _ if away || self.copy_of.is_some() => None,
            None => Some(self.last_change),
            Some(End::Closed) => None,
            Some(_) if all_taken => None,
            Some(End::MoreMayCome) => Some(self.last_change + flush),
            Some(End::Idle) => {
                Some(self.writers_gone_at().unwrap_or(self.last_change + UNFINISHED_LINE_FLUSH_INTERVALS * flush))
            }
            Some(End::Stalled) => self.writers_gone_at(),
        }
    }

    /// Returns how to treat the end of its bytes now.
    pub(super) fn end(&self, flush: Duration, now: Instant) -> End {
        let quiet = now.saturating_duration_since(self.last_change);
        match self.writers_gone_at() {
            Some(at) if now >= at => End::Closed,
            None if quiet >= UNFINISHED_LINE_FLUSH_INTERVALS * flush => End::Stalled,
            _ if quiet >= flush => End::Idle,
            _ => End::MoreMayCome,
        }
    }

    /// Returns when all programs are assumed to have stopped writing to it, if it is no longer in
    /// its folder.
    fn writers_gone_at(&self) -> Option<Instant> {
        self.missing_since.map(|since| since.max(self.last_change) + DRAIN_TIMEOUT)
    }

    /// Returns whether it is gone and everything that can be read of it has been read.
    pub(super) fn is_drained(&self, now: Instant) -> bool {
        let all = self.size == self.state.position || self.last_eof == Some(End::Closed);
        all && self.is_open() && self.writers_gone_at().is_some_and(|at| now >= at)
    }

    /// Records that all its bytes were offered to the framer.
    pub(super) fn reached_end(&mut self, end: End) {
        self.backlog = false;
        self.last_eof = Some(end);
    }

    /// Advances the position over bytes that were read.
    pub(super) fn advance(&mut self, taken: &[u8]) {
        self.state.position += taken.len() as u64;
        self.state.guard.extend_from_slice(&taken[taken.len().saturating_sub(GUARD_BYTES)..]);
        let excess = self.state.guard.len().saturating_sub(GUARD_BYTES);
        self.state.guard.drain(..excess);
    }

    /// Returns its text encoding.
    pub(super) fn encoding(&self) -> Encoding {
        Encoding::of(&self.state.fingerprint)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What the system reports about a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileStat {
    pub(super) key: FileKey,
    pub(super) size: u64,
    /// Not available on every file system.
    pub(super) created: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

impl FileStat {
    /// Returns what the system reports about the file at a path.
    pub(super) fn of_path(path: &Path) -> io::Result<Self> {
        platform::stat_path(path)
    }

    /// Returns what the system reports about an open file.
    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        platform::stat_file(file)
    }
}

/// Returns the state of a file of which nothing has been read.
pub(super) fn initial_state(kind: LogKind, path: &Path, stat: &FileStat) -> FileState {
    FileState {
        kind,
        id: format!("{:016x}", fastrand::u64(..)),
        path: path.to_string_lossy().into_owned(),
        volume: stat.key.0,
        index: stat.key.1,
        fingerprint: Vec::new(),
        position: 0,
        guard: Vec::new(),
        seen_header: false,
    }
}

/// Sets the position of a file of which nothing has been read, and reads its fingerprint and guard.
pub(super) fn set_position(input: &File, state: &mut FileState, position: u64) -> io::Result<()> {
    let guard_length = usize::try_from(position).unwrap_or(GUARD_BYTES).min(GUARD_BYTES);
    let guard_start = position - guard_length as u64;
    state.fingerprint = read_at(input, 0, FINGERPRINT_BYTES)?;
    state.guard = read_at(input, guard_start, guard_length)?;
    if Encoding::of(&state.fingerprint) != Encoding::Utf8 && state.guard.len() % 2 == 1 {
        state.guard.pop();
    }
    state.position = guard_start + state.guard.len() as u64;
    Ok(())
}

/// Returns whether a file still is the one that `state` describes. Extends the fingerprint if the
/// file has more first bytes by now.
fn is_same_file(input: &File, size: u64, state: &mut FileState) -> io::Result<bool> {
    if size < state.position || !guard_matches(input, state)? {
        return Ok(false);
    }
    let first = read_at(input, 0, FINGERPRINT_BYTES)?;
    if !first.starts_with(&state.fingerprint) {
        return Ok(false);
    }
    state.fingerprint = first;
    Ok(true)
}

/// Returns whether `input` begins with everything that was read of the file in `state`, so that it
/// is a copy. Returns false if too little was read to tell.
pub(super) fn contains_read_part(input: &File, size: u64, state: &FileState) -> io::Result<bool> {
    let taken = usize::try_from(state.position).unwrap_or(usize::MAX);
    let first = &state.fingerprint[..state.fingerprint.len().min(taken)];
    Ok(taken >= GUARD_BYTES
        && size >= state.position
        && read_at(input, 0, first.len())? == first
        && guard_matches(input, state)?)
}

fn guard_matches(input: &File, state: &FileState) -> io::Result<bool> {
    let length = state.guard.len();
    Ok(length == 0 || read_at(input, state.position.saturating_sub(length as u64), length)? == state.guard)
}

/// Returns whether one of two files begins with the whole of the other, judged by some bytes at
/// both ends of the shorter one. An empty file is not a copy.
pub(super) fn is_copy(one: &File, other: &File) -> io::Result<bool> {
    let shorter = one.metadata()?.len().min(other.metadata()?.len());
    let end = shorter.saturating_sub(FINGERPRINT_BYTES as u64);
    let length = FINGERPRINT_BYTES.min(usize::try_from(shorter).unwrap_or(FINGERPRINT_BYTES));
    Ok(shorter > 0
        && read_at(one, 0, length)? == read_at(other, 0, length)?
        && read_at(one, end, length)? == read_at(other, end, length)?)
}

/// Reads from an offset until the buffer is full or the file ends.
fn read_full(mut input: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    input.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads at most `length` bytes from an offset, fewer if the file ends there.
pub(super) fn read_at(mut input: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    input.seek(SeekFrom::Start(at))?;
    input.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
mod platform {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::FileStat;

    pub(super) fn stat_path(path: &Path) -> io::Result<FileStat> {
        Ok(stat(&std::fs::metadata(path)?))
    }

    pub(super) fn stat_file(file: &File) -> io::Result<FileStat> {
        Ok(stat(&file.metadata()?))
    }

    fn stat(metadata: &Metadata) -> FileStat {
        FileStat {
            key: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            created: metadata.created().ok(),
            modified: metadata.modified().ok(),
        }
    }
}

#[cfg(windows)]
#[allow(unsafe_code)]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::windows::io::AsRawHandle;
    use std::path::Path;

    use windows::Win32::Foundation::HANDLE;
    use windows::Win32::Storage::FileSystem::{BY_HANDLE_FILE_INFORMATION, GetFileInformationByHandle};

    use super::FileStat;

    /// Opens the file, because the file index needs a handle. The standard library opens with every
    /// kind of sharing, deletion included, so the writer is never disturbed.
    pub(super) fn stat_path(path: &Path) -> io::Result<FileStat> {
        stat_file(&File::open(path)?)
    }

    pub(super) fn stat_file(file: &File) -> io::Result<FileStat> {
        let mut information = BY_HANDLE_FILE_INFORMATION::default();
        // SAFETY: the handle is open while `file` is borrowed, and `information` outlives the call.
        unsafe { GetFileInformationByHandle(HANDLE(file.as_raw_handle()), &raw mut information) }?;
        let metadata = file.metadata()?;
        let wide = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
        let index = wide(information.nFileIndexHigh, information.nFileIndexLow);
        Ok(FileStat {
            key: (u64::from(information.dwVolumeSerialNumber), index),
            size: wide(information.nFileSizeHigh, information.nFileSizeLow),
            created: metadata.created().ok(),
            modified: metadata.modified().ok(),
        })
    }
}
