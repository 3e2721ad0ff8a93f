//! Accounts for every record that was written.
//!
//! Records arrive in pieces. Most pieces are complete records; a long record, or one that was
//! written with pauses, arrives in several. `log.record.uid` contains the id of the file and the
//! offset in it, so every piece can be compared with the bytes that were written there.

use std::collections::{BTreeMap, HashMap};

use crate::records::{Archive, number_of};

/// A log record that arrived at the collector, or that is in the queue.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Its body.
    pub body: String,
    /// How often it was accepted.
    pub accepted: usize,
    /// How often it was rejected permanently.
    pub rejected: usize,
}

/// All pieces by their `log.record.uid`.
pub type Pieces = HashMap<String, Piece>;

/// The result of the comparison.
#[derive(Debug, Default)]
pub struct Account {
    /// Records that are missing, in whole or in part.
    pub lost: Vec<usize>,
    /// Records that arrived under several uids.
    pub duplicated: Vec<usize>,
    /// Pieces that arrived but were never accepted.
    pub never_accepted: u64,
    /// How often a piece was accepted again under the same uid.
    pub repeats: usize,
    /// Pieces whose text differs from what was written at their offset.
    pub wrong: Vec<String>,
}

impl Account {
    /// Returns whether every record arrived exactly once.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty() && self.wrong.is_empty()
    }
}

/// Compares what arrived with what was written.
#[must_use]
pub fn account(archive: &Archive, pieces: &Pieces) -> Account {
    let mut account = Account::default();
    let mut files: BTreeMap<&str, BTreeMap<usize, &Piece>> = BTreeMap::new();
    for (uid, piece) in pieces {
        account.never_accepted += u64::from(piece.accepted == 0);
        account.repeats += piece.accepted.saturating_sub(1);
        let parsed = uid.split_once('-').and_then(|(id, at)| Some((id, usize::from_str_radix(at, 16).ok()?)));
        match parsed {
            Some((id, at)) => drop(files.entry(id).or_default().insert(at, piece)),
            None => account.wrong.push(format!("no uid: {uid}")),
        }
    }
    let mut found = vec![0; archive.records.len()];
    for (id, pieces) in &files {
        match generation_of(archive, pieces) {
            Some(generation) => compare(archive, generation, id, pieces, &mut found, &mut account),
            None => account.wrong.push(format!("unknown file {id}: {:?}", pieces.values().next())),
        }
    }
    account.lost = (0..found.len()).filter(|number| found[*number] == 0).collect();
    account.duplicated = (0..found.len()).filter(|number| found[*number] > 1).collect();
    account
}

/// Returns the generation of the pieces of one file id, which the record numbers in them determine.
fn generation_of(archive: &Archive, pieces: &BTreeMap<usize, &Piece>) -> Option<usize> {
    let mut numbers = pieces.values().filter_map(|piece| number_of(&piece.body));
    numbers.find_map(|number| Some(archive.records.get(number)?.generation))
}

/// Compares the pieces of one file id with the bytes of their generation, and counts complete
/// records.
fn compare(
    archive: &Archive,
    generation: usize,
    id: &str,
    pieces: &BTreeMap<usize, &Piece>,
    found: &mut [usize],
    account: &mut Account,
) {
    let mut offsets = pieces.keys().copied().peekable();
    // The record whose pieces have been correct so far, from its start on.
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
            // It was read before its header was complete; the agent may have parsed the part that
            // was there.
            _ => at == record.start && wanted.starts_with('[') && wanted.ends_with(body),
        };
        if !is_right {
            let wrong = format!("{id}-{at:x}, of record {number}: {} in place of {}", short(body), short(&wanted));
            account.wrong.push(wrong);
        }
        if at == record.start {
            open = Some(number);
        } else if open != Some(number) {
            account.wrong.push(format!("{id}-{at:x}: the start of record {number} is missing"));
        }
        if end == record.end && open == Some(number) {
            found[number] += 1;
        }
    }
}

/// Returns the start and the end of a text.
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
