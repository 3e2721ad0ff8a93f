//! Regular expressions of the settings. The `regex` crate searches in linear time, whatever the expression is; their
//! size is bounded so that the factor stays small.

use std::fmt;

/// Largest compiled expression, in bytes. A list of hundreds of words fits; repetitions of repetitions do not.
const MOST_BYTES: usize = 256 * 1024;

/// A compiled expression. Two are equal if they were written the same.
#[derive(Debug, Clone)]
struct Compiled(regex::Regex);

impl Compiled {
    fn new(text: &str) -> Result<Self, String> {
        regex::RegexBuilder::new(text).size_limit(MOST_BYTES).build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("the pattern needs more than {} KiB; make its repetitions smaller", MOST_BYTES / 1024)
            }
            error => {
                // the last line says what is wrong; those before it draw the pattern
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("the pattern is not a regular expression: {reason}")
            }
        })
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A regular expression for something in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Compiled);

impl Expression {
    /// The compiled expression.
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
            return Err("the pattern takes an empty text; it has to stand for at least one character".to_owned());
        }
        Ok(Self(compiled))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.regex().as_str())
    }
}

/// A regular expression for the first line of a record, with at least a group `message`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Compiled);

impl Pattern {
    /// Named groups that mean something.
    pub const GROUPS: [&'static str; 6] = ["time", "level", "category", "instance", "thread", "message"];

    /// The compiled expression.
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
            return Err(format!("the pattern has a group `{unknown}`; known are {}", Self::GROUPS.join(", ")));
        }
        if !names.contains(&"message") {
            return Err("the pattern needs a named group `message`, as in `(?<message>.*)`".to_owned());
        }
        Ok(Self(compiled))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.regex().as_str())
    }
}
