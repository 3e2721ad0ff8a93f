//! Copies of log files: which file is a copy, and which copy continues when its original is gone.
//!
//! Rotation with copytruncate copies the log and then truncates the original. Backup tools and
//! people copy logs too. Reading the copy as a new file would export every line twice; ignoring it
//! after the original was truncated would lose the lines that had not been read yet. Neither the
//! order nor the timing of the two steps is known, because the agent may see them late or not run.
//!
//! Therefore, in this order:
//! 1. Before its first read, a file whose name looks like a copy is compared with the files that it
//!    may be copied from. If it is a copy, it is marked with `copy_of` and not read.
//! 2. The mark is cleared at every rescan ([`Tracker::recheck_copies`]) and decided again when the
//!    file is due, because either file may have grown on its own since.
//! 3. When the original changes or disappears, [`Tracker::reassign_copies`] decides which copy
//!    continues from its position. This happens before the original's old position is forgotten:
//!    only that position tells which lines of the copy have been read.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Tracker;
use crate::ioconnect::folders::unrotated;
use crate::pipeline::queue::FileState;
use crate::sources::logs::files::{FINGERPRINT_BYTES, FileKey, FileStat, contains_read_part, is_copy, read_at};

impl Tracker {
    /// Decides whether a file of which nothing has been read is a copy of another file.
    pub(super) fn detect_copy(&mut self, key: FileKey) -> io::Result<bool> {
        let Some(file) = self.files.get_mut(&key) else { return Ok(false) };
        let path = file.path.clone();
        let input = file.open()?.try_clone()?;
        let first = read_at(&input, 0, FINGERPRINT_BYTES)?;
        let mut original = None;
        for (other_key, other) in &mut self.files {
            let its_path = Path::new(&other.state.path);
            if *other_key == key || other.copy_of.is_some() || first.is_empty() || !is_named_like_copy(&path, its_path)
            {
                continue;
            }
            let known = &other.state.fingerprint;
            // If neither file has been read, the one with the longer name is the copy.
            let alike = if known.is_empty() {
                path.as_os_str().len() > its_path.as_os_str().len()
            } else {
                first.starts_with(known) || known.starts_with(&first)
            };
            if !alike {
                continue;
            }
            let same_now = other.open().is_ok_and(|other| is_copy(&input, other).unwrap_or(false));
            // A copy is complete before the original is truncated. So the original is compared
            // first, and the bytes that are known of it second.
            if same_now || contains_read_part(&input, FileStat::of_file(&input)?.size, &other.state)? {
                original = Some(*other_key);
                break;
            }
        }
        let Some(file) = self.files.get_mut(&key) else { return Ok(false) };
        file.copy_of = original;
        if original.is_some() {
            file.close();
        }
        Ok(original.is_some())
    }

    /// Clears all copy marks, so that each copy is checked again when it has something to read.
    pub(in crate::sources::logs) fn recheck_copies(&mut self) {
        for file in self.files.values_mut() {
            file.copy_of = None;
        }
    }

    /// Handles the copies of a file that is no longer what it was `before`. The first unread copy
    /// that contains everything read so far continues from the old position. Any other copy of it
    /// that holds nothing beyond that position is skipped. Returns the states that changed.
    ///
    /// [`Tracker::restart`] saves them together with the original's new state, so that a crash in
    /// between neither repeats nor loses lines.
    pub(super) fn reassign_copies(&mut self, key: FileKey, before: &FileState) -> Vec<FileState> {
        let original = Path::new(&before.path);
        let mut changed = Vec::new();
        let mut continued = false;
        for (other, file) in &mut self.files {
            let unread = file.state.position == 0 && file.state.fingerprint.is_empty();
            if *other == key || !unread || !is_named_like_copy(&file.path, original) || file.missing_since.is_some() {
                continue;
            }
            let Ok(input) = file.open().and_then(File::try_clone) else { continue };
            let size = FileStat::of_file(&input).map_or(file.size, |stat| stat.size);
            if !continued && contains_read_part(&input, size, before).unwrap_or(false) {
                file.continue_from(before);
                continued = true;
                changed.push(file.state.clone());
            } else if file.copy_of == Some(key) && size <= before.position && file.skip_to_end().is_ok() {
                changed.push(file.state.clone());
            }
        }
        changed
    }
}

/// Returns whether a file is named after another one in its folder, as in `x.log.1`,
/// `x-20261123.log`, `x - Copy.log`. Files with other names are not copies even if they begin with
/// the same bytes, such as a banner.
fn is_named_like_copy(path: &Path, original: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| unrotated(&name.to_string_lossy().to_lowercase()));
    let name = |path: &Path| name(path).unwrap_or_default();
    let (name, original_name) = (name(path), name(original));
    let stem = original_name.split(".log").next().unwrap_or_default();
    let after = name.find(stem).map(|at| &name[at + stem.len()..]);
    path.parent() == original.parent()
        && !stem.is_empty()
        && after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
}
