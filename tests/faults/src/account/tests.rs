//! Scenario: the records of a run are compared with the records that arrived.

use super::*;
use crate::records::{Encoding, Size};

/// Returns two files with three and two records, and their pieces as they should arrive.
fn all_arrived() -> (Archive, Pieces) {
    let mut archive = Archive::new(1);
    for (encoding, headed, records) in [(Encoding::Utf8, true, 3), (Encoding::Utf16, false, 2)] {
        let generation = archive.start(encoding, headed);
        (0..records).for_each(|_| archive.push(generation, Size::Usual));
    }
    let pieces = (0..archive.records.len()).map(|number| {
        let record = archive.records[number];
        let body = archive.text(record.generation, record.message, record.end);
        (uid(record.generation, record.start), Piece { body, accepted: 1, rejected: 0 })
    });
    let pieces = pieces.collect();
    (archive, pieces)
}

fn uid(file: usize, offset: usize) -> String {
    format!("{file:016x}-{offset:016x}")
}

/// Returns the uid that [`all_arrived`] gives a record.
fn uid_of(archive: &Archive, number: usize) -> String {
    uid(archive.records[number].generation, archive.records[number].start)
}

#[test]
fn account_is_clean_when_every_record_arrived() {
    let (archive, mut pieces) = all_arrived();
    pieces.get_mut(&uid_of(&archive, 4)).unwrap().accepted = 3;
    let account = account(&archive, &pieces);
    assert!(account.is_clean(), "{account:?}");
    assert_eq!((account.repeats, account.never_accepted), (2, 0));
}

#[test]
fn missing_record_is_lost() {
    let (archive, mut pieces) = all_arrived();
    pieces.remove(&uid_of(&archive, 1));
    assert_eq!(account(&archive, &pieces).lost, [1]);
}

/// A permanently rejected record is not lost; the agent has to count it.
#[test]
fn refused_record_is_not_lost() {
    let (archive, mut pieces) = all_arrived();
    let piece = pieces.get_mut(&uid_of(&archive, 2)).unwrap();
    (piece.accepted, piece.rejected) = (0, 1);
    let account = account(&archive, &pieces);
    assert!(account.is_clean(), "{account:?}");
    assert_eq!(account.never_accepted, 1);
}

#[test]
fn record_under_two_uids_is_duplicated() {
    let (archive, mut pieces) = all_arrived();
    let again = pieces[&uid_of(&archive, 3)].clone();
    pieces.insert(uid(9, archive.records[3].start), again);
    assert_eq!(account(&archive, &pieces).duplicated, [3]);
}

#[test]
fn record_in_two_pieces_is_complete() {
    let (archive, mut pieces) = all_arrived();
    let record = archive.records[4];
    let middle = record.start + 40;
    let body = |from, to| archive.text(record.generation, from, to);
    pieces.get_mut(&uid_of(&archive, 4)).unwrap().body = body(record.start, middle);
    let rest = Piece { body: body(middle, record.end), accepted: 1, rejected: 0 };
    pieces.insert(uid(record.generation, middle), rest);
    let both = account(&archive, &pieces);
    assert!(both.is_clean(), "{both:?}");

    pieces.remove(&uid(record.generation, middle));
    assert_eq!(account(&archive, &pieces).wrong.len(), 1, "the second piece is missing");
    pieces.remove(&uid_of(&archive, 4));
    assert_eq!(account(&archive, &pieces).lost, [4], "both are missing");
}

#[test]
fn changed_text_is_wrong() {
    let (archive, mut pieces) = all_arrived();
    pieces.get_mut(&uid_of(&archive, 0)).unwrap().body.pop();
    assert_eq!(account(&archive, &pieces).wrong.len(), 1);
}
