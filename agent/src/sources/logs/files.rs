//! The files that are followed: which they are, and that they still are the same.
//!
//! Identity: volume and number on it, and the first bytes. A file that was renamed keeps its position; one that has
//! become shorter than its position, or begins otherwise than before, is another file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::encode::FileOrigin;
use super::layout::Layout;
use crate::config::LayoutSettings;
use crate::connect::folders::{LogFolder, app_name, unrotated};
use crate::consent::LogKind;
use crate::pipeline::queue::FileState;

/// How many first bytes are compared: some lines, which begin with a time to the millisecond.
const FINGERPRINT_BYTES: usize = 256;

/// What the system tells files apart by: the volume, and the number on it (inode, file index).
pub(super) type FileKey = (u64, u64);

/// A file that is followed.
pub(super) struct Followed {
    /// Where it was last seen.
    pub(super) path: PathBuf,
    env_region: String,
    pub(super) state: FileState,
    pub(super) layout: Layout,
    pub(super) origin: FileOrigin,
    /// Its size when it was last looked at.
    pub(super) size: u64,
    /// When its size was last seen to change.
    pub(super) changed: Instant,
    /// There is more than one turn could take.
    pub(super) backlog: bool,
    /// The size up to which there is nothing more to take, because the last line is not finished.
    pub(super) exhausted: Option<u64>,
}

impl Followed {
    pub(super) fn new(
        state: FileState,
        folder: &LogFolder,
        path: &Path,
        layouts: &[LayoutSettings],
        size: u64,
        now: Instant,
    ) -> Self {
        let (origin, layout) = origin_and_layout(&state.id, state.kind, &folder.env_region, path, layouts);
        Self {
            path: path.to_owned(),
            env_region: folder.env_region.clone(),
            state,
            layout,
            origin,
            size,
            changed: now,
            backlog: false,
            exhausted: None,
        }
    }

    /// Takes note of another name.
    pub(super) fn rename(&mut self, folder: &LogFolder, path: &Path, layouts: &[LayoutSettings]) {
        path.clone_into(&mut self.path);
        self.env_region.clone_from(&folder.env_region);
        self.state.path = path.to_string_lossy().into_owned();
        let state = &self.state;
        (self.origin, self.layout) = origin_and_layout(&state.id, state.kind, &self.env_region, path, layouts);
    }

    /// Begins anew: the file is another one although the system calls it the same.
    pub(super) fn restart(&mut self, looked: &Looked) {
        self.state = first_state(self.state.kind, &self.path, looked, 0);
        self.origin = origin(&self.state.id, self.state.kind, &self.env_region, &self.path);
        self.exhausted = None;
    }

    /// Whether there may be something to take. One that is shorter than what was taken of it has become another file.
    pub(super) fn has_more(&self) -> bool {
        self.size != self.state.position && self.exhausted != Some(self.size)
    }

    /// Takes note of a size.
    pub(super) fn sized(&mut self, size: u64, now: Instant) {
        if size != self.size {
            self.size = size;
            self.changed = now;
        }
    }
}

fn origin_and_layout(
    id: &str,
    kind: LogKind,
    env_region: &str,
    path: &Path,
    layouts: &[LayoutSettings],
) -> (FileOrigin, Layout) {
    (origin(id, kind, env_region, path), Layout::for_file(&unrotated(&file_name(path)), layouts))
}

fn origin(id: &str, kind: LogKind, env_region: &str, path: &Path) -> FileOrigin {
    let name = file_name(path);
    let app = match kind {
        LogKind::Platform => None,
        LogKind::Applications => app_name(&name),
    };
    FileOrigin::new(id, &name, Some(env_region), app)
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

/// The state of a file that is seen for the first time.
pub(super) fn first_state(kind: LogKind, path: &Path, looked: &Looked, position: u64) -> FileState {
    FileState {
        kind,
        id: format!("{:016x}", fastrand::u64(..)),
        path: path.to_string_lossy().into_owned(),
        volume: looked.key.0,
        index: looked.key.1,
        fingerprint: Vec::new(),
        position,
        guard: Vec::new(),
        headed: false,
    }
}

/// Whether a file still begins as it did and is not shorter than what was taken of it; keeps more of its first bytes if
/// there are more by now.
pub(super) fn is_continued(file: &mut File, size: u64, state: &mut FileState) -> io::Result<bool> {
    if size < state.position {
        return Ok(false);
    }
    let known = state.fingerprint.len();
    if known == FINGERPRINT_BYTES || size > known as u64 || known > 0 {
        let mut first = Vec::with_capacity(FINGERPRINT_BYTES);
        file.seek(SeekFrom::Start(0))?;
        file.by_ref().take(FINGERPRINT_BYTES as u64).read_to_end(&mut first)?;
        if !first.starts_with(&state.fingerprint) {
            return Ok(false);
        }
        state.fingerprint = first;
    }
    Ok(true)
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
        Looked { key: (metadata.dev(), metadata.ino()), size: metadata.len(), created: metadata.created().ok() }
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
        let wide = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
        let index = wide(information.nFileIndexHigh, information.nFileIndexLow);
        Ok(Looked {
            key: (u64::from(information.dwVolumeSerialNumber), index),
            size: wide(information.nFileSizeHigh, information.nFileSizeLow),
            created: file.metadata()?.created().ok(),
        })
    }
}
