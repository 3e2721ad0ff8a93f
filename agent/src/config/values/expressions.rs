//! Regular expressions in settings. The `regex` crate searches in linear time for every expression.
//! The size of expressions is limited so that the constant factor stays small.

use std::fmt;

/// Maximum size of a compiled expression. A list of hundreds of words fits; nested repetitions do
/// not.
const MAX_COMPILED_BYTES: usize = 256 * 1024;

/// A compiled expression. Two expressions are equal if their text is equal.
#[derive(Debug, Clone)]
struct Compiled(regex::Regex);

impl Compiled {
    fn new(text: &str) -> Result<Self, String> {
        regex::RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!(
                    "the regular expression needs more than {} KiB of memory; use smaller repetitions",
                    MAX_COMPILED_BYTES / 1024
                )
            }
            error => {
                // The last line is the reason; the lines before it draw the pattern.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("not a valid regular expression: {reason}")
            }
        })
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A regular expression that is searched in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Compiled);

impl Expression {
    /// Returns the compiled expression.
    #[must_use]
    pub fn regex(&self) -> &regex::Regex {
        &self.0.0
    }
}

impl std::str::FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let compiled = Compiled::new(text)?;
        if compiled.0.is_match("") {
            return Err("the regular expression matches an empty text; it must match at least one character".to_owned());
        }
        Ok(Self(compiled))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.regex().as_str())
    }
}

/// A regular expression for the first line of a record, with at least the group `message`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Compiled);

impl Pattern {
    /// The supported named groups.
    pub const GROUPS: [&'static str; 6] = ["time", "level", "category", "instance", "thread", "message"];

    /// Returns the compiled expression.
    #[must_use]
    pub fn regex(&self) -> &regex::Regex {
        &self.0.0
    }
}

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let compiled = Compiled::new(text)?;
        let names: Vec<&str> = compiled.0.capture_names().flatten().collect();
        if let Some(unknown) = names.iter().find(|name| !Self::GROUPS.contains(name)) {
            return Err(format!(
                "the pattern has an unknown group `{unknown}`; allowed are {}",
                Self::GROUPS.join(", ")
            ));
        }
        if !names.contains(&"message") {
            return Err("the pattern has no group `message`; add one, for example `(?<message>.*)`".to_owned());
        }
        Ok(Self(compiled))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.regex().as_str())
    }
}
