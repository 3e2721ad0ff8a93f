//! The files that are followed: which they are, and that they still are the same.
//!
//! Identity: volume and number on it, the first bytes, and the bytes before the position (the guard). A file that was
//! renamed keeps its position. One that has become shorter than its position, begins otherwise than before, or has other
//! bytes before its position, was cut short, overwritten, or is another one with the same number: it is read from its
//! beginning under a new id.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::LogContext;
use super::encode::FileOrigin;
use super::filter::{Filters, Memory};
use super::framing::End;
use super::layout::Layout;
use super::prepare::Stream;
use super::text::Encoding;
use crate::consent::LogKind;
use crate::ioconnect::folders::{app_name, env_region, unrotated};
use crate::pipeline::queue::FileState;

/// How many first bytes are compared: some lines, which begin with a time to the millisecond.
pub(super) const FINGERPRINT_BYTES: usize = 256;
/// How many bytes before the position are compared: the end of a line, mostly all of it.
const GUARD_BYTES: usize = 64;
/// A last line without its end is sent as it is after so many times the wait for a line that continues a record. With
/// the default that is 10 s: programs that buffer what they write hold the rest back for seconds, not longer.
const UNFINISHED_WAITS: u32 = 20;
/// A file that is not in its folder any more may still be written for a moment, by a program that has it open. On Windows
/// an open handle can keep a deleted file's name from being used again, so it is let go at once.
const DRAIN_WAIT: Duration = if cfg!(windows) { Duration::ZERO } else { Duration::from_secs(2) };
/// How long a quiet file is kept open: one that is being written can be read to its end whatever becomes of its name,
/// and a quiet one does not stand in the way of whoever wants to move its folder.
const QUIET: Duration = Duration::from_secs(5);

/// What the system tells files apart by: the volume, and the number on it (inode, file index).
pub(super) type FileKey = (u64, u64);

/// A file that is followed.
pub(super) struct Followed {
    /// Where it was last seen.
    pub(super) path: PathBuf,
    /// Its name without folders, as it is sent.
    sent_name: String,
    pub(super) state: FileState,
    pub(super) layout: Layout,
    pub(super) stream: Stream,
    /// Its size when it was last looked at.
    pub(super) size: u64,
    /// When it was last written then. It can be cut short and grow to the same size again.
    modified: Option<SystemTime>,
    /// When one of both was last seen to change.
    pub(super) changed: Instant,
    /// There is more than one turn could take.
    pub(super) backlog: bool,
    /// As what kind of end its end was read since its last change. There may be bytes left that are the begin of something.
    tried: Option<End>,
    /// Since when it is not in its folder.
    pub(super) missing_since: Option<Instant>,
    /// Open, as long as something is written to it.
    input: Option<File>,
    /// The handle is that of its unpacked content.
    pub(super) is_unpacked: bool,
    /// The file that it is a copy of: what it holds is read there.
    pub(super) copy_of: Option<FileKey>,
}

impl Followed {
    /// A file in a folder.
    pub(super) fn new(state: FileState, path: &Path, context: &LogContext, looked: &Looked, now: Instant) -> Self {
        let mut file = Self::missing(state, context, now);
        file.found(path, context, looked, now);
        file
    }

    /// A file that was followed before and has not been found again yet.
    pub(super) fn missing(state: FileState, context: &LogContext, now: Instant) -> Self {
        let mut file = Self {
            path: PathBuf::from(&state.path),
            sent_name: String::new(),
            layout: Layout::for_file("", &[]),
            stream: Stream {
                origin: FileOrigin::new(&state.id, "", None, None),
                filters: Filters::default(),
                memory: Memory::default(),
                last_time: None,
            },
            size: state.position,
            modified: None,
            changed: now,
            backlog: false,
            tried: None,
            missing_since: Some(now),
            input: None,
            is_unpacked: false,
            copy_of: None,
            state,
        };
        file.name(context);
        file
    }

    /// A file that has been compressed, with its unpacked content, which is under another number.
    pub(super) fn unpacked(state: FileState, bytes: File, context: &LogContext, now: Instant) -> Self {
        let mut file = Self::missing(state, context, now);
        file.input = Some(bytes);
        file.is_unpacked = true;
        file.size_again(now);
        file
    }

    /// Takes note of where it is and how large.
    pub(super) fn found(&mut self, path: &Path, context: &LogContext, looked: &Looked, now: Instant) {
        let place = path.to_string_lossy();
        path.clone_into(&mut self.path);
        if self.state.path != place {
            self.state.path = place.into_owned();
            self.name(context);
        }
        self.missing_since = None;
        self.looked(looked, now);
    }

    /// Takes over what depends on its name.
    fn name(&mut self, context: &LogContext) {
        let name = file_name(Path::new(&self.state.path));
        let (stem, ending) = name.split_at(name.find(".log").unwrap_or(name.len()));
        self.sent_name = format!("{}{ending}", context.redactor.redact(stem));
        let original = unrotated(&name);
        self.layout = Layout::for_file(&original, &context.settings.layouts);
        self.stream.filters = Filters::for_file(&original, &context.settings);
        self.set_origin();
    }

    fn set_origin(&mut self) {
        let name = &self.sent_name;
        let app = match self.state.kind {
            LogKind::Platform => None,
            LogKind::Applications => app_name(name),
        };
        let env_region = env_region(Path::new(&self.state.path));
        self.stream.origin = FileOrigin::new(&self.state.id, name, env_region.as_deref(), app);
    }

    /// Begins anew: the file is another one although the system calls it the same.
    pub(super) fn restart(&mut self, looked: &Looked) {
        self.state = first_state(self.state.kind, &self.path, looked);
        self.set_origin();
        self.tried = None;
        self.stream.memory = Memory::default();
        self.stream.last_time = None;
        self.size = looked.size;
    }

    /// Goes on where another file ended that this one holds all bytes of.
    pub(super) fn take_over(&mut self, from: &FileState) {
        let FileState { path, volume, index, .. } = self.state.clone();
        self.state = FileState { path, volume, index, ..from.clone() };
        self.set_origin();
        self.copy_of = None;
        self.tried = None;
    }

    /// Goes on behind everything that it holds now.
    pub(super) fn skip_all(&mut self) -> io::Result<()> {
        let input = self.input.as_ref().ok_or(io::ErrorKind::NotFound)?;
        self.copy_of = None;
        skip_to(input, &mut self.state, self.size)
    }

    /// The same file with its handle, under which it can be read to its end wherever it is.
    pub(super) fn open(&mut self) -> io::Result<&File> {
        let input = match self.input.take() {
            Some(input) => input,
            None => File::open(&self.path)?,
        };
        Ok(self.input.insert(input))
    }

    /// Reads from its position on, until the buffer is full or the file ends. Returns how many bytes; nothing, if it is
    /// not any more what was known. That is asked after reading: so what was read belongs to what is known.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let input = self.input.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let read = fill(input, self.state.position, buffer)?;
        let size = Looked::of(input)?.size;
        Ok(is_continued(input, size, &mut self.state)?.then_some(read))
    }

    /// Lets the handle go.
    pub(super) fn close(&mut self) {
        self.is_unpacked = false;
        self.input = None;
    }

    /// Whether a handle is held.
    pub(super) fn is_open(&self) -> bool {
        self.input.is_some()
    }

    /// Whether its handle can be let go.
    pub(super) fn is_quiet(&self) -> bool {
        self.missing_since.is_none() && self.size == self.state.position && self.changed.elapsed() >= QUIET
    }

    /// Asks the system for its size, if it is open.
    pub(super) fn size_again(&mut self, now: Instant) {
        if let Some(looked) = self.input.as_ref().and_then(|input| Looked::of(input).ok()) {
            self.looked(&looked, now);
        }
    }

    /// Takes note of what the system says of it.
    pub(super) fn looked(&mut self, looked: &Looked, now: Instant) {
        if (looked.size, looked.modified) != (self.size, self.modified) {
            (self.size, self.modified) = (looked.size, looked.modified);
            self.changed = now;
            self.tried = None;
        }
    }

    /// When there may be something to take. `flush` is how long a record may wait for a line that continues it.
    pub(super) fn due(&self, flush: Duration) -> Option<Instant> {
        let away = self.missing_since.is_some() && !self.is_open();
        let all_taken = self.size == self.state.position;
        match self.tried {
            _ if away || self.copy_of.is_some() => None,
            None => Some(self.changed),
            Some(End::Closed) => None,
            Some(_) if all_taken => None,
            Some(End::MoreMayCome) => Some(self.changed + flush),
            Some(End::Idle) => Some(self.drained_at().unwrap_or(self.changed + UNFINISHED_WAITS * flush)),
            Some(End::Stalled) => self.drained_at(),
        }
    }

    /// What the end of its bytes means now.
    pub(super) fn end(&self, flush: Duration, now: Instant) -> End {
        let quiet = now.saturating_duration_since(self.changed);
        match self.drained_at() {
            Some(at) if now >= at => End::Closed,
            None if quiet >= UNFINISHED_WAITS * flush => End::Stalled,
            _ if quiet >= flush => End::Idle,
            _ => End::MoreMayCome,
        }
    }

    /// From when on nobody writes to it any more, if it is not in its folder.
    fn drained_at(&self) -> Option<Instant> {
        self.missing_since.map(|since| since.max(self.changed) + DRAIN_WAIT)
    }

    /// Whether it is gone, and all that can be had of it has been taken.
    pub(super) fn is_drained(&self, now: Instant) -> bool {
        let all = self.size == self.state.position || self.tried == Some(End::Closed);
        all && self.is_open() && self.drained_at().is_some_and(|at| now >= at)
    }

    /// Takes note that all of it was offered to the framer.
    pub(super) fn read_to_end(&mut self, end: End) {
        self.backlog = false;
        self.tried = Some(end);
    }

    /// Moves the position over bytes that were taken.
    pub(super) fn advance(&mut self, taken: &[u8]) {
        self.state.position += taken.len() as u64;
        self.state.guard.extend_from_slice(&taken[taken.len().saturating_sub(GUARD_BYTES)..]);
        let excess = self.state.guard.len().saturating_sub(GUARD_BYTES);
        self.state.guard.drain(..excess);
    }

    /// How its bytes become text.
    pub(super) fn encoding(&self) -> Encoding {
        Encoding::of(&self.state.fingerprint)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    pub(super) key: FileKey,
    pub(super) size: u64,
    /// Not every file system knows.
    pub(super) created: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

impl Looked {
    /// What the system says of the file at a place.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        platform::look_at(path)
    }

    /// What the system says of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        platform::look(file)
    }
}

/// The state of a file of which nothing has been taken.
pub(super) fn first_state(kind: LogKind, path: &Path, looked: &Looked) -> FileState {
    FileState {
        kind,
        id: format!("{:016x}", fastrand::u64(..)),
        path: path.to_string_lossy().into_owned(),
        volume: looked.key.0,
        index: looked.key.1,
        fingerprint: Vec::new(),
        position: 0,
        guard: Vec::new(),
        seen_header: false,
    }
}

/// Sets the position of a file of which nothing has been taken, with the bytes that it is known by.
pub(super) fn skip_to(input: &File, state: &mut FileState, position: u64) -> io::Result<()> {
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

/// Whether a file is still the one that `state` speaks of; keeps more of its first bytes if there are more by now.
fn is_continued(input: &File, size: u64, state: &mut FileState) -> io::Result<bool> {
    if size < state.position || !guard_holds(input, state)? {
        return Ok(false);
    }
    let first = read_at(input, 0, FINGERPRINT_BYTES)?;
    if !first.starts_with(&state.fingerprint) {
        return Ok(false);
    }
    state.fingerprint = first;
    Ok(true)
}

/// Whether `input` holds what was taken of the file that `state` speaks of, and maybe more: it is its copy. Where little
/// was taken, that cannot be told.
pub(super) fn holds_what_was_taken(input: &File, size: u64, state: &FileState) -> io::Result<bool> {
    let taken = usize::try_from(state.position).unwrap_or(usize::MAX);
    let first = &state.fingerprint[..state.fingerprint.len().min(taken)];
    Ok(taken >= GUARD_BYTES
        && size >= state.position
        && read_at(input, 0, first.len())? == first
        && guard_holds(input, state)?)
}

fn guard_holds(input: &File, state: &FileState) -> io::Result<bool> {
    let length = state.guard.len();
    Ok(length == 0 || read_at(input, state.position.saturating_sub(length as u64), length)? == state.guard)
}

/// Whether one of two files begins with the whole of the other, as far as some bytes at both ends of the shorter one
/// tell. An empty file is no copy.
pub(super) fn is_copy(one: &File, other: &File) -> io::Result<bool> {
    let shorter = one.metadata()?.len().min(other.metadata()?.len());
    let end = shorter.saturating_sub(FINGERPRINT_BYTES as u64);
    let length = FINGERPRINT_BYTES.min(usize::try_from(shorter).unwrap_or(FINGERPRINT_BYTES));
    Ok(shorter > 0
        && read_at(one, 0, length)? == read_at(other, 0, length)?
        && read_at(one, end, length)? == read_at(other, end, length)?)
}

/// Reads from a place on until the buffer is full or the file ends.
fn fill(mut input: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
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

/// At most `length` bytes from a place on; less where the file ends.
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

    use super::Looked;

    pub(super) fn look_at(path: &Path) -> io::Result<Looked> {
        Ok(looked(&std::fs::metadata(path)?))
    }

    pub(super) fn look(file: &File) -> io::Result<Looked> {
        Ok(looked(&file.metadata()?))
    }

    fn looked(metadata: &Metadata) -> Looked {
        Looked {
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

    use super::Looked;

    /// The index needs an open handle. The standard library opens with every kind of sharing, deletion included, so
    /// that the writer is never disturbed.
    pub(super) fn look_at(path: &Path) -> io::Result<Looked> {
        look(&File::open(path)?)
    }

    pub(super) fn look(file: &File) -> io::Result<Looked> {
        let mut information = BY_HANDLE_FILE_INFORMATION::default();
        // SAFETY: the handle is open as long as `file` is borrowed, and `information` lives through the call.
        unsafe { GetFileInformationByHandle(HANDLE(file.as_raw_handle()), &raw mut information) }?;
        let metadata = file.metadata()?;
        let wide = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
        let index = wide(information.nFileIndexHigh, information.nFileIndexLow);
        Ok(Looked {
            key: (u64::from(information.dwVolumeSerialNumber), index),
            size: wide(information.nFileSizeHigh, information.nFileSizeLow),
            created: metadata.created().ok(),
            modified: metadata.modified().ok(),
        })
    }
}
