//! Scans a text once, cheaply, for hints at what it contains. Most rules can then be skipped.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::UserIdentity;

/// A set of hints: what a rule needs in a text, or what a text contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hints(u16);

impl Hints {
    /// No hints: the rule always runs.
    pub(super) const NONE: Self = Self(0);
    /// A word in a key whose value is secret, such as `password`.
    pub(super) const SECRET_KEY: Self = Self(1);
    /// The start of a token that is recognised by its shape, such as `eyJ`.
    pub(super) const TOKEN_SHAPE: Self = Self(1 << 1);
    /// The folder that contains home folders.
    pub(super) const HOME: Self = Self(1 << 2);
    /// The user's name.
    pub(super) const USER: Self = Self(1 << 3);
    /// An `@`, or its encoded form in a URL.
    pub(super) const AT_SIGN: Self = Self(1 << 4);
    /// A run of digits as long as the shortest number that is searched for.
    pub(super) const DIGITS: Self = Self(1 << 5);
    /// `://`
    pub(super) const URL: Self = Self(1 << 6);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn contains(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

/// Minimum number of digits of a phone number that is searched for.
pub(super) const MIN_DIGITS: usize = 8;

/// Words and the hints that they give. Letter case does not matter.
const WORDS: &[(&str, Hints)] = &[
    ("password", Hints::SECRET_KEY),
    ("passwd", Hints::SECRET_KEY),
    ("passphrase", Hints::SECRET_KEY),
    ("pwd", Hints::SECRET_KEY),
    ("secret", Hints::SECRET_KEY),
    ("token", Hints::SECRET_KEY),
    ("apikey", Hints::SECRET_KEY),
    ("api_key", Hints::SECRET_KEY),
    ("api-key", Hints::SECRET_KEY),
    ("access_key", Hints::SECRET_KEY),
    ("accesskey", Hints::SECRET_KEY),
    ("private_key", Hints::SECRET_KEY),
    ("privatekey", Hints::SECRET_KEY),
    ("credential", Hints::SECRET_KEY),
    ("signature", Hints::SECRET_KEY),
    ("sessionid", Hints::SECRET_KEY),
    ("session_id", Hints::SECRET_KEY),
    ("authorization", Hints::SECRET_KEY),
    ("cookie", Hints::SECRET_KEY),
    ("bearer", Hints::SECRET_KEY),
    ("sig=", Hints::SECRET_KEY),
    ("code=", Hints::SECRET_KEY),
    ("-----begin", Hints::TOKEN_SHAPE),
    ("eyj", Hints::TOKEN_SHAPE),
    ("akia", Hints::TOKEN_SHAPE),
    ("asia", Hints::TOKEN_SHAPE),
    ("aiza", Hints::TOKEN_SHAPE),
    ("ghp_", Hints::TOKEN_SHAPE),
    ("gho_", Hints::TOKEN_SHAPE),
    ("ghu_", Hints::TOKEN_SHAPE),
    ("ghs_", Hints::TOKEN_SHAPE),
    ("ghr_", Hints::TOKEN_SHAPE),
    ("github_pat_", Hints::TOKEN_SHAPE),
    ("glpat-", Hints::TOKEN_SHAPE),
    ("xox", Hints::TOKEN_SHAPE),
    ("sk_live_", Hints::TOKEN_SHAPE),
    ("users", Hints::HOME),
    ("home", Hints::HOME),
    ("://", Hints::URL),
    ("%40", Hints::AT_SIGN),
];

/// Finds the hints in a text.
#[derive(Debug, Clone)]
pub(super) struct HintScanner {
    words: Option<AhoCorasick>,
    hints: Vec<Hints>,
}

impl HintScanner {
    pub(super) fn new(user: &UserIdentity) -> Self {
        let name = user.user_name.as_deref().filter(|name| !name.is_empty());
        let words: Vec<(&str, Hints)> = WORDS.iter().copied().chain(name.map(|name| (name, Hints::USER))).collect();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words.iter().map(|(word, _)| word));
        Self { words: automaton.ok(), hints: words.into_iter().map(|(_, hints)| hints).collect() }
    }

    /// Returns the hints in a text.
    pub(super) fn scan(&self, text: &str) -> Hints {
        let Some(words) = &self.words else { return Hints(u16::MAX) };
        let mut hints = Hints::NONE;
        // Overlapping: the name `homer` contains the word `home`, and must still be found.
        for word in words.find_overlapping_iter(text) {
            hints = hints.with(self.hints[word.pattern().as_usize()]);
        }
        if memchr::memchr(b'@', text.as_bytes()).is_some() {
            hints = hints.with(Hints::AT_SIGN);
        }
        if has_long_digit_run(text.as_bytes()) {
            hints = hints.with(Hints::DIGITS);
        }
        hints
    }
}

/// Returns whether [`MIN_DIGITS`] digits occur with nothing but separators between them. Most lines
/// have fewer digits in total, which is faster to check.
fn has_long_digit_run(text: &[u8]) -> bool {
    let digits: usize = text.iter().map(|byte| usize::from(byte.is_ascii_digit())).sum();
    let mut run = 0;
    digits >= MIN_DIGITS
        && text.iter().any(|byte| {
            match byte {
                b'0'..=b'9' => run += 1,
                b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+' => {}
                _ => run = 0,
            }
            run >= MIN_DIGITS
        })
}
