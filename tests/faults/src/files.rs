//! Log files that are written, and rotated in every way that the agent has to handle.
//!
//! Nobody can read what no longer exists, so some rotations have a condition:
//! - A file that is archived must be known to the agent, which looks into archives only for files
//!   that it has tailed. Renamed and copied files can always be read.
//! - A file that is deleted must have been read, or be open in the agent, which then gets the time
//!   to read it.
//!
//! [`Files::rotate`] asks the [`Reader`] for the condition, and skips the rotation if it does not
//! hold.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::records::{Archive, Encoding, Size};
use crate::schedule::{FILES, Rotation};

/// The files: name, encoding, and whether records have headers. None exists at first.
const KINDS: [(&str, Encoding, bool); FILES] = [
    ("application.log", Encoding::Utf8, true),
    ("glue-logger.log", Encoding::Utf8, true),
    ("applications/clientlist.log", Encoding::Utf8, true),
    ("applications/native.log", Encoding::Utf16, true),
    ("applications/plain.log", Encoding::Utf8, false),
];

/// Maximum number of backups of a file: more than a run can create.
const MAX_BACKUPS: usize = 1000;

/// The identity of a file: its volume, and its number there.
pub type Key = (u64, u64);

/// What the agent has done with a file, as far as it matters before a deletion.
pub trait Reader {
    /// Returns whether the agent knows this file, which contains these bytes.
    fn knows(&self, key: Key, bytes: &[u8]) -> bool;
    /// Returns whether all these bytes of the file are in the queue.
    fn has_read(&self, key: Key, bytes: &[u8]) -> bool;
    /// Returns whether the agent has the file open, and nothing keeps it from reading to the end.
    fn holds(&self, key: Key) -> bool;
    /// Waits until the agent has read a deleted file to its end.
    fn wait_until_read(&self, key: Key);
}

/// The files, and everything that was ever written to them.
#[derive(Debug)]
pub struct Files {
    logs: PathBuf,
    all: Vec<LogFile>,
    links: usize,
    archives: usize,
    /// Everything that was written.
    pub written: Archive,
}

/// What follows the deletion of a file.
enum AfterDeletion {
    Nothing,
    /// Waiting: the agent has the file open and reads it.
    WaitUntilRead(Key),
}

/// A file that a writer appends to.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    encoding: Encoding,
    headed: bool,
    /// The generation that it contains; none while the file does not exist.
    generation: Option<usize>,
    /// The part of its last record that has not been written yet.
    rest: Vec<u8>,
    /// Its backups in the same folder, with their generations.
    backups: Vec<(PathBuf, usize)>,
}

impl Files {
    /// Creates the set of files for a log folder.
    #[must_use]
    pub fn new(logs: &Path, seed: u64) -> Self {
        let file = |(name, encoding, headed): (&str, Encoding, bool)| LogFile {
            path: logs.join(name),
            encoding,
            headed,
            generation: None,
            rest: Vec::new(),
            backups: Vec::new(),
        };
        let all = KINDS.into_iter().map(file).collect();
        Self { logs: logs.to_owned(), all, links: 0, archives: 0, written: Archive::new(seed) }
    }

    /// Appends records to a file. With `part`, only that many 256ths of the last record are
    /// written, and the rest is held back.
    pub fn append(&mut self, file: usize, records: usize, size: Size, part: Option<usize>) -> String {
        self.finish(file);
        let LogFile { path, encoding, headed, generation, rest, .. } = &mut self.all[file];
        let is_new = generation.is_none();
        let generation = *generation.get_or_insert_with(|| self.written.start(*encoding, *headed));
        let from = if is_new { 0 } else { self.written.generations[generation].bytes.len() };
        let first = self.written.records.len();
        for _ in 0..records {
            self.written.push(generation, size);
        }
        let new = &self.written.generations[generation].bytes[from..];
        let last = self.written.records.last().expect("one was written");
        let last_length = last.end - last.start;
        let held_back = part.map_or(0, |part| last_length - last_length * part / 256);
        let (now, later) = new.split_at(new.len() - held_back);
        write(path, now);
        *rest = later.to_vec();
        let held_back = if held_back > 0 { format!(", {held_back} held back") } else { String::new() };
        format!("records {first}..{}, {} bytes{held_back}", self.written.records.len(), now.len())
    }

    /// Writes the held back part of a file.
    fn finish(&mut self, file: usize) {
        let LogFile { path, rest, .. } = &mut self.all[file];
        if !rest.is_empty() {
            write(path, rest);
            rest.clear();
        }
    }

    /// Writes the held back parts of all files.
    pub fn finish_all(&mut self) {
        (0..self.all.len()).for_each(|file| self.finish(file));
    }

    /// Rotates a file; returns what was done, in words.
    pub fn rotate(&mut self, file: usize, how: Rotation, reader: &impl Reader) -> String {
        self.finish(file);
        let Some(generation) = self.all[file].generation else { return "skipped: it does not exist".to_owned() };
        match how {
            Rotation::Rename | Rotation::RenameBehind => {
                let to = self.all[file].shift_backups(how == Rotation::RenameBehind);
                fs::rename(&self.all[file].path, &to).expect("a file to rename");
                self.all[file].moved_to(to)
            }
            Rotation::CopyTruncate | Rotation::CopyTruncateBehind => {
                let to = self.all[file].shift_backups(how == Rotation::CopyTruncateBehind);
                fs::copy(&self.all[file].path, &to).expect("a file to copy");
                OpenOptions::new().write(true).truncate(true).open(&self.all[file].path).expect("a file to cut");
                self.all[file].moved_to(to)
            }
            Rotation::Compress | Rotation::Delete => {
                let Some(after) = self.may_delete(file, generation, reader) else {
                    return "skipped: it has not been read".to_owned();
                };
                let mut path = self.all[file].path.clone();
                if how == Rotation::Compress {
                    let renamed = self.all[file].shift_backups(false);
                    fs::rename(&path, &renamed).expect("a file to rename");
                    compress(&renamed);
                    path = renamed;
                }
                fs::remove_file(path).expect("a file to delete");
                self.all[file].generation = None;
                match after {
                    AfterDeletion::Nothing => "it had been read".to_owned(),
                    AfterDeletion::WaitUntilRead(key) => {
                        reader.wait_until_read(key);
                        "it was open, and has been read since".to_owned()
                    }
                }
            }
            Rotation::Archive => self.archive(file, reader),
            Rotation::OtherCase => {
                let path = &self.all[file].path;
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                let upper = name.replace(".log", ".LOG");
                let other = if upper == name { name.replace(".LOG", ".log") } else { upper };
                let to = path.with_file_name(&other);
                fs::rename(path, &to).expect("a file to rename");
                self.all[file].path = to;
                format!("is {other}")
            }
            Rotation::Link => {
                let path = &self.all[file].path;
                self.links += 1;
                // Sorted before all other names, and after them.
                let before = if self.links.is_multiple_of(2) { "a" } else { "z" };
                let link = path.with_file_name(format!("{before}-link-{}.log", self.links));
                symlink(path, &link).expect("a link");
                format!("{} points to it", link.display())
            }
            Rotation::RemoveFolder => self.remove_folder(file, reader),
        }
    }

    /// Returns all files of a folder, with their backups.
    fn in_folder<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (&'a Path, usize)> {
        let files = self.all.iter().filter(move |file| file.path.parent() == Some(folder));
        files.flat_map(|file| {
            let now = file.generation.map(|generation| (file.path.as_path(), generation));
            now.into_iter().chain(file.backups.iter().map(|(path, generation)| (path.as_path(), *generation)))
        })
    }

    fn archive(&mut self, file: usize, reader: &impl Reader) -> String {
        self.finish_all();
        let folder = self.folder_of(file);
        for (path, generation) in self.in_folder(&folder) {
            if !reader.knows(key(path), &self.written.generations[generation].bytes) {
                return format!("skipped: the agent does not know {}", path.display());
            }
        }
        self.archives += 1;
        let mut to = self.logs.join("archive");
        if self.archives.is_multiple_of(2) {
            to.push(format!("run-{}", self.archives));
        }
        fs::create_dir_all(&to).expect("a folder");
        let mut moved = 0;
        for (path, _) in self.in_folder(&folder) {
            let name = path.file_name().expect("a name").to_string_lossy();
            fs::rename(path, to.join(format!("{}-{name}", self.archives))).expect("a file to move");
            moved += 1;
        }
        self.forget_folder(&folder);
        format!("{moved} files moved to {}", to.display())
    }

    fn remove_folder(&mut self, file: usize, reader: &impl Reader) -> String {
        self.finish_all();
        let folder = self.folder_of(file);
        if folder == self.logs {
            return "skipped: it contains the other folder".to_owned();
        }
        for (path, generation) in self.in_folder(&folder) {
            if !reader.has_read(key(path), &self.written.generations[generation].bytes) {
                return format!("skipped: {} has not been read", path.display());
            }
        }
        fs::remove_dir_all(&folder).expect("a folder to delete");
        self.forget_folder(&folder);
        "removed".to_owned()
    }

    /// Returns what follows if a file is deleted now; none if that would lose records.
    fn may_delete(&self, file: usize, generation: usize, reader: &impl Reader) -> Option<AfterDeletion> {
        let key = key(&self.all[file].path);
        if reader.has_read(key, &self.written.generations[generation].bytes) {
            return Some(AfterDeletion::Nothing);
        }
        reader.holds(key).then_some(AfterDeletion::WaitUntilRead(key))
    }

    fn folder_of(&self, file: usize) -> PathBuf {
        self.all[file].path.parent().expect("a folder").to_owned()
    }

    fn forget_folder(&mut self, folder: &Path) {
        for file in self.all.iter_mut().filter(|file| file.path.parent() == Some(folder)) {
            file.generation = None;
            file.backups.clear();
        }
    }
}

impl LogFile {
    /// Increases the number of every backup by one; returns the name that becomes free.
    fn shift_backups(&mut self, behind: bool) -> PathBuf {
        let path = self.path.clone();
        let extension = path.extension().expect("an extension").to_string_lossy().into_owned();
        let name = |number: usize| {
            path.with_extension(if behind { format!("{extension}.{number}") } else { format!("{number}.{extension}") })
        };
        let free = (1..MAX_BACKUPS).find(|number| !name(*number).exists()).expect("a free number");
        for number in (1..free).rev() {
            let (from, to) = (name(number), name(number + 1));
            fs::rename(&from, &to).expect("a file to rename");
            for (path, _) in self.backups.iter_mut().filter(|(path, _)| *path == from) {
                path.clone_from(&to);
            }
        }
        name(1)
    }

    /// Records that the content is now in a backup; the next record creates the file again.
    fn moved_to(&mut self, path: PathBuf) -> String {
        let said = format!("it is now {}", path.display());
        self.backups.extend(self.generation.take().map(|generation| (path, generation)));
        said
    }
}

/// Returns the identity of a file.
fn key(path: &Path) -> Key {
    let metadata = fs::metadata(path).expect("a file");
    (metadata.dev(), metadata.ino())
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a log file");
    file.write_all(bytes).expect("room on the disk");
}

fn compress(path: &Path) {
    let output = File::create(path.with_added_extension("gz")).expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(output, flate2::Compression::fast());
    encoder.write_all(&fs::read(path).expect("a file")).expect("room on the disk");
    encoder.finish().expect("room on the disk");
}
