//! What has become of every record that was written.
//!
//! What arrives are pieces: mostly whole records; a long record, or one that was written with pauses, comes in several.
//! `log.record.uid` is the file's id and the offset in it, so every piece can be held against the bytes that were written
//! there.

use std::collections::{BTreeMap, HashMap};

use crate::records::{Archive, number_of};

/// A log record as it was seen at the collector, or in the queue.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Its body.
    pub body: String,
    /// How often it was taken.
    pub stored: usize,
    /// How often it was refused for good.
    pub refused: usize,
}

/// Every piece, by its `log.record.uid`.
pub type Pieces = HashMap<String, Piece>;

/// What has become of the records.
#[derive(Debug, Default)]
pub struct Account {
    /// Records of which nothing or not all is there.
    pub lost: Vec<usize>,
    /// Records that are there under several uids.
    pub doubled: Vec<usize>,
    /// Pieces that arrived, but never were taken.
    pub never_stored: u64,
    /// Pieces that were taken more than once, under the same uid.
    pub repeats: usize,
    /// Pieces whose text is not what was written at their place.
    pub wrong: Vec<String>,
}

impl Account {
    /// Whether every record is there once.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }
}

/// Holds what arrived against what was written.
#[must_use]
pub fn account(archive: &Archive, pieces: &Pieces) -> Account {
    let mut account = Account::default();
    let mut files: BTreeMap<&str, BTreeMap<usize, &Piece>> = BTreeMap::new();
    for (uid, piece) in pieces {
        account.never_stored += u64::from(piece.stored == 0);
        account.repeats += piece.stored.saturating_sub(1);
        let parsed = uid.split_once('-').and_then(|(id, at)| Some((id, usize::from_str_radix(at, 16).ok()?)));
        match parsed {
            Some((id, at)) => drop(files.entry(id).or_default().insert(at, piece)),
            None => account.wrong.push(format!("no uid: {uid}")),
        }
    }
    let mut found = vec![0; archive.records.len()];
    for (id, pieces) in &files {
        match generation_of(archive, pieces) {
            Some(generation) => go_through(archive, generation, id, pieces, &mut found, &mut account),
            None => account.wrong.push(format!("nobody knows what file {id} is: {:?}", pieces.values().next())),
        }
    }
    account.lost = (0..found.len()).filter(|number| found[*number] == 0).collect();
    account.doubled = (0..found.len()).filter(|number| found[*number] > 1).collect();
    account
}

/// The generation that pieces under one id belong to: their numbers tell.
fn generation_of(archive: &Archive, pieces: &BTreeMap<usize, &Piece>) -> Option<usize> {
    let mut numbers = pieces.values().filter_map(|piece| number_of(&piece.body));
    numbers.find_map(|number| Some(archive.records.get(number)?.generation))
}

/// Holds the pieces under one id against the bytes of their generation. Counts records that are there whole.
fn go_through(
    archive: &Archive,
    generation: usize,
    id: &str,
    pieces: &BTreeMap<usize, &Piece>,
    found: &mut [usize],
    account: &mut Account,
) {
    let mut offsets = pieces.keys().copied().peekable();
    // The record whose begin has been seen, as far as all of it so far was right.
    let mut open = None;
    while let Some(at) = offsets.next() {
        let body = &pieces[&at].body;
        let Some(number) = archive.record_at(generation, at) else {
            account.wrong.push(format!("{id}-{at:x}: nothing was written there: {}", short(body)));
            continue;
        };
        let record = archive.records[number];
        let end = offsets.peek().map_or(record.end, |next| record.end.min(*next));
        let wanted = archive.text(generation, at, end);
        let is_right = match end.checked_sub(record.message) {
            _ if *body == wanted => true,
            Some(1..) if at == record.start => *body == archive.text(generation, record.message, end),
            // It was taken when not even its header was complete; what there was of it may have been understood.
            _ => at == record.start && wanted.starts_with('[') && wanted.ends_with(body),
        };
        if !is_right {
            let wrong = format!("{id}-{at:x}, of record {number}: {} in place of {}", short(body), short(&wanted));
            account.wrong.push(wrong);
        }
        if at == record.start {
            open = Some(number);
        } else if open != Some(number) {
            account.wrong.push(format!("{id}-{at:x}: the begin of record {number} is missing"));
        }
        if end == record.end && open == Some(number) {
            found[number] += 1;
        }
    }
}

/// Both ends of a text.
fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= 2 * SHOWN {
        return format!("{text:?}");
    }
    let begin: String = text.chars().take(SHOWN).collect();
    let end: String = text.chars().skip(text.chars().count() - SHOWN).collect();
    format!("{begin:?}...{end:?} ({} bytes)", text.len())
}

#[cfg(test)]
mod tests;
