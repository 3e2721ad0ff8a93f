//! What must not leave the machine is hidden before the queue: credentials, addresses, numbers, names.
//!
//! Rules find places in a text (`rules.rs`, `numbers.rs`); each place is replaced by the mark of its rule, as in
//! `[email]`. Where places overlap, all of both is hidden under the mark of the rule that comes first.
//!
//! Invariants, held by property tests: redacting what has been redacted changes nothing; no text makes it fail. Time is
//! linear in the length of the text: the `regex` crate promises that, and the sizes of patterns are bounded
//! (`Pattern::SIZE_LIMIT`).
//!
//! Most lines hold nothing to hide, so one pass over the bytes decides which rules are asked at all ([`Hints`]).

mod hints;
mod numbers;
pub mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::LazyLock;

use crate::config::RedactionSettings;
use hints::Hints;
use rules::Rule;

/// What has been hidden can uncover what stood beside it. A second round mostly finds nothing; more than a few only come
/// of text that was made for it.
const MOST_ROUNDS: usize = 8;

/// Whose desk it is: what of it would tell who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Name that they log in with, without the domain.
    pub user_name: Option<String>,
}

impl Person {
    /// Whoever runs this program.
    #[must_use]
    pub fn current() -> Self {
        Self { user_name: whoami::username().ok() }
    }
}

/// Hides what the rules find.
#[derive(Debug, Clone)]
pub struct Redactor {
    rules: Vec<Rule>,
    hints: hints::Finder,
}

/// A place to hide, and the rule that found it.
struct Found {
    place: Range<usize>,
    rule: usize,
}

/// Rules that are made when they are needed for the first time: they take some 8 MB, which an agent that reads no logs
/// does without.
#[derive(Debug)]
pub struct LazyRedactor(LazyLock<Redactor, Box<dyn FnOnce() -> Redactor + Send>>);

impl LazyRedactor {
    /// The rules that the settings switch on.
    #[must_use]
    pub fn new(settings: &RedactionSettings, person: Person) -> Self {
        let settings = settings.clone();
        Self(LazyLock::new(Box::new(move || Redactor::new(&settings, &person))))
    }
}

impl Deref for LazyRedactor {
    type Target = Redactor;

    fn deref(&self) -> &Redactor {
        &self.0
    }
}

impl Redactor {
    /// The rules that the settings switch on.
    #[must_use]
    pub fn new(settings: &RedactionSettings, person: &Person) -> Self {
        Self { rules: rules::of(settings, person), hints: hints::Finder::new(person) }
    }

    /// The rules in force, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What stands in the place of what is hidden.
    pub fn marks(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.mark.as_str())
    }

    /// What stands in the place of the value of a key, if it is the name of a credential, as in `password=...`.
    #[must_use]
    pub fn mark_of_value(&self, key: &str) -> Option<&str> {
        const VALUE: &str = "a-value";
        let text = format!("{key}={VALUE}");
        let value = text.len() - VALUE.len()..text.len();
        let found = self.find(&text).into_iter().find(|found| found.place == value)?;
        self.rules.get(found.rule).map(|rule| rule.mark.as_str())
    }

    /// The text with everything hidden that the rules find.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact_and(text, |_| {})
    }

    /// The same, and counts for each rule what it hid.
    pub fn redact_counting<'t>(&self, text: &'t str, counts: &mut BTreeMap<String, u64>) -> Cow<'t, str> {
        self.redact_and(text, |rule| *counts.entry(rule.name.clone()).or_default() += 1)
    }

    fn redact_and<'t>(&self, text: &'t str, mut hidden: impl FnMut(&Rule)) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for _ in 0..MOST_ROUNDS {
            let found = self.find(&text);
            if found.is_empty() {
                break;
            }
            let mut redacted = String::with_capacity(text.len());
            let mut from = 0;
            for Found { place, rule } in found {
                let rule = &self.rules[rule];
                redacted.push_str(&text[from..place.start]);
                redacted.push_str(&rule.mark);
                from = place.end;
                hidden(rule);
            }
            redacted.push_str(&text[from..]);
            text = Cow::Owned(redacted);
        }
        text
    }

    /// The places to hide, in order and apart from each other.
    fn find(&self, text: &str) -> Vec<Found> {
        let hints = self.hints.of(text);
        let mut found: Vec<Found> = Vec::new();
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.hints.may_be_in(hints)) {
            rule.find(text, |place| {
                if !place.is_empty() && !self.is_mark(&text[place.start..]) {
                    found.push(Found { place, rule: index });
                }
            });
        }
        found.sort_by_key(|found| (found.place.start, found.rule));
        found.dedup_by(|next, kept| {
            let overlap = next.place.start < kept.place.end;
            if overlap {
                kept.place.end = kept.place.end.max(next.place.end);
                kept.rule = kept.rule.min(next.rule);
            }
            overlap
        });
        found
    }

    /// Whether a text begins with a mark: then it has been redacted.
    fn is_mark(&self, text: &str) -> bool {
        text.starts_with('[') && self.rules.iter().any(|rule| text.starts_with(&rule.mark))
    }
}

impl Hints {
    /// Whether a rule that needs these hints can find something in a text that has those.
    fn may_be_in(self, there: Self) -> bool {
        there.contains(self)
    }
}
