//! The log files of a desk: written, and rotated in every way that the agent has to bear.
//!
//! What must not be lost, and what nobody can save:
//! - whatever is renamed, archived or copied stays there to be read; a file that is archived must be known to the agent,
//!   because it looks into archives only for files that it has followed;
//! - a file that is deleted must have been read, or be open in the agent, which then must have the time to read it.
//!
//! [`Files::rotate`] asks the [`Reader`] for that, and leaves out what cannot be done at the moment.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::records::{Archive, Encoding, Size};
use crate::schedule::{FILES, Rotation};

/// The files by name, with their kind. None is there at first.
const KINDS: [(&str, Encoding, bool); FILES] = [
    ("application.log", Encoding::Utf8, true),
    ("glue-logger.log", Encoding::Utf8, true),
    ("applications/clientlist.log", Encoding::Utf8, true),
    ("applications/native.log", Encoding::Utf16, true),
    ("applications/plain.log", Encoding::Utf8, false),
];

/// Files that one file was earlier: more than a run can make.
const MOST_EARLIER: usize = 1000;

/// The number of a file on its volume, and the volume.
pub type Key = (u64, u64);

/// What the agent has done with a file, as far as it matters to who deletes it.
pub trait Reader {
    /// Whether the agent knows this file, which holds these bytes.
    fn knows(&self, key: Key, bytes: &[u8]) -> bool;
    /// Whether all these bytes of it are in the queue.
    fn has_read(&self, key: Key, bytes: &[u8]) -> bool;
    /// Whether the agent has it open, and is free to read it to its end.
    fn holds(&self, key: Key) -> bool;
    /// Waits until the agent has read a deleted file to its end.
    fn wait_for_end_of(&self, key: Key);
}

/// The files, and all that was ever written to them.
#[derive(Debug)]
pub struct Files {
    logs: PathBuf,
    all: Vec<LogFile>,
    links: usize,
    archives: usize,
    /// What was written.
    pub written: Archive,
}

/// What has to be waited for after a file was deleted.
enum ToWaitFor {
    Nothing,
    /// The agent has it open and reads it.
    EndOf(Key),
}

/// A file that is written.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    encoding: Encoding,
    headed: bool,
    /// What it holds: a generation; none while it is not there.
    generation: Option<usize>,
    /// What belongs to its last record and has not been written yet.
    rest: Vec<u8>,
    /// What became of it earlier and still lies beside it, with the generation.
    earlier: Vec<(PathBuf, usize)>,
}

impl Files {
    /// Files in a folder of logs.
    #[must_use]
    pub fn new(logs: &Path, seed: u64) -> Self {
        let file = |(name, encoding, headed): (&str, Encoding, bool)| LogFile {
            path: logs.join(name),
            encoding,
            headed,
            generation: None,
            rest: Vec::new(),
            earlier: Vec::new(),
        };
        let all = KINDS.into_iter().map(file).collect();
        Self { logs: logs.to_owned(), all, links: 0, archives: 0, written: Archive::new(seed) }
    }

    /// Appends records to a file; of the last one only `part` of 256 parts is
    /// written, and the rest is held back.
    pub fn append(&mut self, file: usize, records: usize, size: Size, part: Option<usize>) -> String {
        self.finish(file);
        let LogFile { path, encoding, headed, generation, rest, .. } = &mut self.all[file];
        let begun = generation.is_none();
        let generation = *generation.get_or_insert_with(|| self.written.begin(*encoding, *headed));
        let from = if begun { 0 } else { self.written.generations[generation].bytes.len() };
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

    /// Writes what was held back of a file.
    fn finish(&mut self, file: usize) {
        let LogFile { path, rest, .. } = &mut self.all[file];
        if !rest.is_empty() {
            write(path, rest);
            rest.clear();
        }
    }

    /// Writes what was held back of all files.
    pub fn finish_all(&mut self) {
        (0..self.all.len()).for_each(|file| self.finish(file));
    }

    /// Rotates a file; says what was done.
    pub fn rotate(&mut self, file: usize, how: Rotation, reader: &impl Reader) -> String {
        self.finish(file);
        let Some(generation) = self.all[file].generation else { return "left out: it is not there".to_owned() };
        match how {
            Rotation::Rename | Rotation::RenameBehind => {
                let to = self.all[file].make_room(how == Rotation::RenameBehind);
                fs::rename(&self.all[file].path, &to).expect("a file to rename");
                self.all[file].goes_to(to)
            }
            Rotation::CopyTruncate | Rotation::CopyTruncateBehind => {
                let to = self.all[file].make_room(how == Rotation::CopyTruncateBehind);
                fs::copy(&self.all[file].path, &to).expect("a file to copy");
                OpenOptions::new().write(true).truncate(true).open(&self.all[file].path).expect("a file to cut");
                self.all[file].goes_to(to)
            }
            Rotation::Compress | Rotation::Delete => {
                let Some(to_wait_for) = self.may_delete(file, generation, reader) else {
                    return "left out: it has not been read".to_owned();
                };
                let mut path = self.all[file].path.clone();
                if how == Rotation::Compress {
                    let renamed = self.all[file].make_room(false);
                    fs::rename(&path, &renamed).expect("a file to rename");
                    compress(&renamed);
                    path = renamed;
                }
                fs::remove_file(path).expect("a file to delete");
                self.all[file].generation = None;
                match to_wait_for {
                    ToWaitFor::Nothing => "it had been read".to_owned(),
                    ToWaitFor::EndOf(key) => {
                        reader.wait_for_end_of(key);
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
                // Before all other names, and behind them.
                let before = if self.links.is_multiple_of(2) { "a" } else { "z" };
                let link = path.with_file_name(format!("{before}-link-{}.log", self.links));
                symlink(path, &link).expect("a link");
                format!("{} leads to it", link.display())
            }
            Rotation::RemoveFolder => self.remove_folder(file, reader),
        }
    }

    /// All files of a folder, with those that they were earlier.
    fn in_folder<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (&'a Path, usize)> {
        let files = self.all.iter().filter(move |file| file.path.parent() == Some(folder));
        files.flat_map(|file| {
            let now = file.generation.map(|generation| (file.path.as_path(), generation));
            now.into_iter().chain(file.earlier.iter().map(|(path, generation)| (path.as_path(), *generation)))
        })
    }

    fn archive(&mut self, file: usize, reader: &impl Reader) -> String {
        self.finish_all();
        let folder = self.folder_of(file);
        for (path, generation) in self.in_folder(&folder) {
            if !reader.knows(key(path), &self.written.generations[generation].bytes) {
                return format!("left out: the agent does not know {}", path.display());
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
            return "left out: it holds the other folder".to_owned();
        }
        for (path, generation) in self.in_folder(&folder) {
            if !reader.has_read(key(path), &self.written.generations[generation].bytes) {
                return format!("left out: {} has not been read", path.display());
            }
        }
        fs::remove_dir_all(&folder).expect("a folder to delete");
        self.forget_folder(&folder);
        "removed".to_owned()
    }

    /// Whether a file can be deleted without a loss; then what has to be waited for.
    fn may_delete(&self, file: usize, generation: usize, reader: &impl Reader) -> Option<ToWaitFor> {
        let key = key(&self.all[file].path);
        if reader.has_read(key, &self.written.generations[generation].bytes) {
            return Some(ToWaitFor::Nothing);
        }
        reader.holds(key).then_some(ToWaitFor::EndOf(key))
    }

    fn folder_of(&self, file: usize) -> PathBuf {
        self.all[file].path.parent().expect("a folder").to_owned()
    }

    fn forget_folder(&mut self, folder: &Path) {
        for file in self.all.iter_mut().filter(|file| file.path.parent() == Some(folder)) {
            file.generation = None;
            file.earlier.clear();
        }
    }
}

impl LogFile {
    /// Moves what it was earlier one number on; returns the name that is free then.
    fn make_room(&mut self, behind: bool) -> PathBuf {
        let path = self.path.clone();
        let extension = path.extension().expect("an extension").to_string_lossy().into_owned();
        let name = |number: usize| {
            path.with_extension(if behind { format!("{extension}.{number}") } else { format!("{number}.{extension}") })
        };
        let free = (1..MOST_EARLIER).find(|number| !name(*number).exists()).expect("a free number");
        for number in (1..free).rev() {
            let (from, to) = (name(number), name(number + 1));
            fs::rename(&from, &to).expect("a file to rename");
            for (path, _) in self.earlier.iter_mut().filter(|(path, _)| *path == from) {
                path.clone_from(&to);
            }
        }
        name(1)
    }

    /// What it held lies elsewhere now; the next record begins it anew.
    fn goes_to(&mut self, path: PathBuf) -> String {
        let said = format!("it is {} now", path.display());
        self.earlier.extend(self.generation.take().map(|generation| (path, generation)));
        said
    }
}

/// What the system knows a file by.
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
