//! Redacts credentials, addresses, numbers and names before data enters the queue.
//!
//! Rules find ranges of a text (`rules.rs`, `numbers.rs`). Each range is replaced by the
//! placeholder of its rule, such as `[email]`. Overlapping ranges are merged and get the
//! placeholder of the rule that comes first.
//!
//! Invariants, held by property tests: redacting a redacted text changes nothing, and no text makes
//! redaction fail. Time is linear in the length of the text: the `regex` crate guarantees that, and
//! pattern sizes are limited (`Pattern::SIZE_LIMIT`).
//!
//! Most lines contain nothing to redact, so one pass over the bytes decides which rules have to run
//! ([`Hints`]).

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
use hints::{HintScanner, Hints};
use rules::Rule;

/// Maximum number of rounds. A redaction can expose a match in the text beside it. A second round
/// usually finds nothing; only text that was constructed for it needs more than a few. After
/// the last round the text is used as it is: it may still contain a match.
const MAX_ROUNDS: usize = 8;

/// The user of this machine: what identifies them in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserIdentity {
    /// The login name, without the domain.
    pub user_name: Option<String>,
}

impl UserIdentity {
    /// Returns the user who runs this program.
    #[must_use]
    pub fn current() -> Self {
        Self { user_name: whoami::username().ok() }
    }
}

/// Redacts what the rules find.
#[derive(Debug, Clone)]
pub struct Redactor {
    rules: Vec<Rule>,
    hints: HintScanner,
}

/// A range to redact, and the index of the rule that found it.
struct Match {
    range: Range<usize>,
    rule: usize,
}

/// A redactor that is created at first use: its rules take about 8 MB, which an agent that reads no
/// logs does not need.
#[derive(Debug)]
pub struct LazyRedactor(LazyLock<Redactor, Box<dyn FnOnce() -> Redactor + Send>>);

impl LazyRedactor {
    /// Prepares the rules that the settings enable.
    #[must_use]
    pub fn new(settings: &RedactionSettings, user: UserIdentity) -> Self {
        let settings = settings.clone();
        Self(LazyLock::new(Box::new(move || Redactor::new(&settings, &user))))
    }
}

impl Deref for LazyRedactor {
    type Target = Redactor;

    fn deref(&self) -> &Redactor {
        &self.0
    }
}

impl Redactor {
    /// Creates the rules that the settings enable.
    #[must_use]
    pub fn new(settings: &RedactionSettings, user: &UserIdentity) -> Self {
        Self { rules: rules::enabled(settings, user), hints: HintScanner::new(user) }
    }

    /// Returns the enabled rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the placeholder of each rule.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.placeholder.as_str())
    }

    /// Returns the placeholder for the value of a key, if the key names a credential, as in
    /// `password=...`.
    #[must_use]
    pub fn placeholder_for_key(&self, key: &str) -> Option<&str> {
        const VALUE: &str = "a-value";
        let text = format!("{key}={VALUE}");
        let value = text.len() - VALUE.len()..text.len();
        let found = self.find(&text).into_iter().find(|found| found.range == value)?;
        self.rules.get(found.rule).map(|rule| rule.placeholder.as_str())
    }

    /// Returns the text with everything redacted that the rules find.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact_with(text, |_| {})
    }

    /// Redacts a text, and adds the number of redactions per rule to `counts`.
    pub fn redact_counting<'t>(&self, text: &'t str, counts: &mut BTreeMap<String, u64>) -> Cow<'t, str> {
        self.redact_with(text, |rule| *counts.entry(rule.name.clone()).or_default() += 1)
    }

    fn redact_with<'t>(&self, text: &'t str, mut on_redaction: impl FnMut(&Rule)) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for _ in 0..MAX_ROUNDS {
            let found = self.find(&text);
            if found.is_empty() {
                break;
            }
            let mut redacted = String::with_capacity(text.len());
            let mut from = 0;
            for Match { range, rule } in found {
                let rule = &self.rules[rule];
                redacted.push_str(&text[from..range.start]);
                redacted.push_str(&rule.placeholder);
                from = range.end;
                on_redaction(rule);
            }
            redacted.push_str(&text[from..]);
            text = Cow::Owned(redacted);
        }
        text
    }

    /// Returns the ranges to redact, in order and without overlaps.
    fn find(&self, text: &str) -> Vec<Match> {
        let hints = self.hints.scan(text);
        let mut found: Vec<Match> = Vec::new();
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.hints.present_in(hints)) {
            rule.find(text, |range| {
                if !range.is_empty() && !self.starts_with_placeholder(&text[range.start..]) {
                    found.push(Match { range, rule: index });
                }
            });
        }
        found.sort_by_key(|found| (found.range.start, found.rule));
        found.dedup_by(|next, kept| {
            let overlap = next.range.start < kept.range.end;
            if overlap {
                kept.range.end = kept.range.end.max(next.range.end);
                kept.rule = kept.rule.min(next.rule);
            }
            overlap
        });
        found
    }

    /// Returns whether a text starts with a placeholder, so that it is redacted already.
    fn starts_with_placeholder(&self, text: &str) -> bool {
        text.starts_with('[') && self.rules.iter().any(|rule| text.starts_with(&rule.placeholder))
    }
}

impl Hints {
    /// Returns whether a rule that needs these hints can match a text that has `text_hints`.
    fn present_in(self, text_hints: Self) -> bool {
        text_hints.contains(self)
    }
}
