//! What a text holds, told by one cheap pass: so that most rules need not be asked.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::Person;

/// What a rule needs in a text, or what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hints(u16);

impl Hints {
    /// Nothing: the rule is always asked.
    pub(super) const NONE: Self = Self(0);
    /// A word of a key whose value is secret, as in `password`.
    pub(super) const KEY: Self = Self(1);
    /// The begin of a token that is known by its shape, as in `eyJ`.
    pub(super) const SHAPE: Self = Self(1 << 1);
    /// A folder of home directories.
    pub(super) const HOME: Self = Self(1 << 2);
    /// The name of the user.
    pub(super) const USER: Self = Self(1 << 3);
    /// An `@`, or what stands for it in a URL.
    pub(super) const AT: Self = Self(1 << 4);
    /// A row of digits as long as the shortest number that is looked for.
    pub(super) const DIGITS: Self = Self(1 << 5);
    /// `://`
    pub(super) const ADDRESS: Self = Self(1 << 6);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn contains(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

/// Digits of the shortest phone number that is looked for.
pub(super) const LEAST_DIGITS: usize = 8;

/// Words, and what they hint at. Letter case does not count.
const WORDS: &[(&str, Hints)] = &[
    ("password", Hints::KEY),
    ("passwd", Hints::KEY),
    ("passphrase", Hints::KEY),
    ("pwd", Hints::KEY),
    ("secret", Hints::KEY),
    ("token", Hints::KEY),
    ("apikey", Hints::KEY),
    ("api_key", Hints::KEY),
    ("api-key", Hints::KEY),
    ("access_key", Hints::KEY),
    ("accesskey", Hints::KEY),
    ("private_key", Hints::KEY),
    ("privatekey", Hints::KEY),
    ("credential", Hints::KEY),
    ("signature", Hints::KEY),
    ("sessionid", Hints::KEY),
    ("session_id", Hints::KEY),
    ("authorization", Hints::KEY),
    ("cookie", Hints::KEY),
    ("bearer", Hints::KEY),
    ("sig=", Hints::KEY),
    ("code=", Hints::KEY),
    ("-----begin", Hints::SHAPE),
    ("eyj", Hints::SHAPE),
    ("akia", Hints::SHAPE),
    ("asia", Hints::SHAPE),
    ("aiza", Hints::SHAPE),
    ("ghp_", Hints::SHAPE),
    ("gho_", Hints::SHAPE),
    ("ghu_", Hints::SHAPE),
    ("ghs_", Hints::SHAPE),
    ("ghr_", Hints::SHAPE),
    ("github_pat_", Hints::SHAPE),
    ("glpat-", Hints::SHAPE),
    ("xox", Hints::SHAPE),
    ("sk_live_", Hints::SHAPE),
    ("users", Hints::HOME),
    ("home", Hints::HOME),
    ("://", Hints::ADDRESS),
    ("%40", Hints::AT),
];

/// Finds hints.
#[derive(Debug, Clone)]
pub(super) struct Finder {
    words: Option<AhoCorasick>,
    hints: Vec<Hints>,
}

impl Finder {
    pub(super) fn new(person: &Person) -> Self {
        let name = person.user_name.as_deref().filter(|name| !name.is_empty());
        let words: Vec<(&str, Hints)> = WORDS.iter().copied().chain(name.map(|name| (name, Hints::USER))).collect();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words.iter().map(|(word, _)| word));
        Self { words: automaton.ok(), hints: words.into_iter().map(|(_, hints)| hints).collect() }
    }

    /// What a text holds.
    pub(super) fn of(&self, text: &str) -> Hints {
        let Some(words) = &self.words else { return Hints(u16::MAX) };
        let mut hints = Hints::NONE;
        for word in words.find_iter(text) {
            hints = hints.with(self.hints[word.pattern().as_usize()]);
        }
        if memchr::memchr(b'@', text.as_bytes()).is_some() {
            hints = hints.with(Hints::AT);
        }
        if has_long_row_of_digits(text.as_bytes()) {
            hints = hints.with(Hints::DIGITS);
        }
        hints
    }
}

/// Whether there are [`LEAST_DIGITS`] digits with nothing but separators between them. Most lines have not even so many
/// digits in all, which is told faster.
fn has_long_row_of_digits(text: &[u8]) -> bool {
    let digits: usize = text.iter().map(|byte| usize::from(byte.is_ascii_digit())).sum();
    let mut row = 0;
    digits >= LEAST_DIGITS
        && text.iter().any(|byte| {
            match byte {
                b'0'..=b'9' => row += 1,
                b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+' => {}
                _ => row = 0,
            }
            row >= LEAST_DIGITS
        })
}
