//! Finds the position of each value in a JSON text.
//!
//! Serde keeps no positions, so this walks the text a second time. It does not validate: it reads
//! text that `serde_json` has accepted, or the part before the error, and stops at the first
//! unexpected character.

use std::collections::BTreeMap;
use std::ops::Range;

use super::key::KeyPath;

/// Maximum depth of recorded values. Settings are at most four levels deep; a deeper value is
/// reported at the position of its ancestor.
const MAX_DEPTH: usize = 8;

/// Byte ranges of one value.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key with its quotes; `None` for list items and the root.
    pub(super) key: Option<Range<usize>>,
    /// The value with its quotes or brackets. If it is incomplete, up to the end of the text.
    pub(super) value: Range<usize>,
}

/// A key that occurs twice in one object.
#[derive(Debug)]
pub(super) struct Duplicate {
    pub(super) path: KeyPath,
    pub(super) first: Range<usize>,
    pub(super) second: Range<usize>,
}

/// The positions of all values of a text.
#[derive(Debug, Default)]
pub(super) struct Positions {
    pub(super) entries: BTreeMap<KeyPath, Entry>,
    /// Values whose key occurs again later in the same object.
    pub(super) overridden: Vec<(KeyPath, Entry)>,
    /// The first key that occurs twice in one object.
    pub(super) first_duplicate: Option<Duplicate>,
}

impl Positions {
    /// Returns the positions of the values in `json`, which must not be nested deeper than
    /// `serde_json` allows (128 levels).
    pub(super) fn of(json: &str) -> Self {
        let mut walk = Walk { json, at: 0, found: Self::default() };
        let _ = walk.value(&KeyPath::default(), None);
        walk.found
    }

    /// Returns the value at `path`, or its nearest ancestor.
    pub(super) fn nearest(&self, path: &KeyPath) -> Option<&Entry> {
        let mut path = path.clone();
        loop {
            if let Some(entry) = self.entries.get(&path) {
                return Some(entry);
            }
            path = path.parent()?;
        }
    }
}

struct Walk<'a> {
    json: &'a str,
    at: usize,
    found: Positions,
}

impl Walk<'_> {
    fn value(&mut self, path: &KeyPath, key: Option<Range<usize>>) -> Option<()> {
        self.skip_blanks();
        let start = self.at;
        let recorded = path.depth() <= MAX_DEPTH;
        if recorded {
            let entry = Entry { key, value: start..self.json.len() };
            if let Some(earlier) = self.found.entries.insert(path.clone(), entry) {
                self.found.overridden.push((path.clone(), earlier));
            }
        }
        match self.peek()? {
            b'{' => self.object(path)?,
            b'[' => self.list(path)?,
            b'"' => self.string()?,
            _ => self.at += self.rest().find([',', ']', '}', ' ', '\t', '\r', '\n'])?,
        }
        if recorded && let Some(entry) = self.found.entries.get_mut(path) {
            entry.value.end = self.at;
        }
        Some(())
    }

    fn object(&mut self, path: &KeyPath) -> Option<()> {
        self.at += 1;
        loop {
            self.skip_blanks();
            if self.peek()? == b'}' {
                break;
            }
            let start = self.at;
            self.string()?;
            let key = start..self.at;
            let name: String = serde_json::from_str(self.json.get(key.clone())?).ok()?;
            let child = path.key(&name);
            if self.found.first_duplicate.is_none()
                && let Some(first) = self.found.entries.get(&child).and_then(|entry| entry.key.clone())
            {
                self.found.first_duplicate = Some(Duplicate { path: child.clone(), first, second: key.clone() });
            }
            self.skip_blanks();
            if self.peek()? != b':' {
                return None;
            }
            self.at += 1;
            self.value(&child, Some(key))?;
            self.skip_blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn list(&mut self, path: &KeyPath) -> Option<()> {
        self.at += 1;
        for index in 0.. {
            self.skip_blanks();
            if self.peek()? == b']' {
                break;
            }
            self.value(&path.index(index), None)?;
            self.skip_blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        let mut escaped = false;
        let length = self.rest().bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        self.at += length + 2;
        Some(())
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn rest(&self) -> &str {
        self.json.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }
}
