//! What can be wrong with settings, told so that a person can mend it.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::values::Secret;

/// Bytes of a line that are shown before the fault and of it: a file may be one long line.
const WIDEST: usize = 100;

/// Bytes of a message that are shown.
const LONGEST: usize = 400;

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file that was named is not there.
    Missing,
    /// The file cannot be read, or is no text.
    Unreadable,
    /// The file is larger than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES).
    TooLarge,
    /// The text is not JSON, or the flag not `key=value`.
    Syntax,
    /// There is no such setting.
    UnknownKey,
    /// A key stands twice in one object.
    DuplicateKey,
    /// The value has the wrong type or is not allowed.
    Value,
}

/// Where the fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// Line and column of the fault, from 1, columns in characters; nothing if it is the file as a whole.
        position: Option<(u32, u32)>,
    },
    /// In a variable of the environment.
    Variable(String),
    /// In a value of Windows' registry.
    Registry(String),
    /// In a `--set` of the command line; its key.
    Flag(String),
}

/// Settings that cannot be used. `Display` is the whole text for people, over several lines; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// What kind of fault it is.
    pub kind: ErrorKind,
    /// Where it is.
    pub place: Place,
    /// The setting it is about, as in `logs.layouts[0].pattern`, if it is about one.
    pub key: Option<String>,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// How to go on, if that can be said.
    pub help: Option<Box<str>>,
    pub(super) excerpt: Option<Box<Excerpt>>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))?;
        let mut gutter = String::from(" ");
        match &self.place {
            Place::File { path, position: Some((line, column)) } => {
                gutter = " ".repeat(line.to_string().len());
                write!(f, "\n{gutter}--> {}:{line}:{column}", path.display())?;
                if let Some(excerpt) = &self.excerpt {
                    write!(f, "\n{gutter} |\n{line} | {}\n{gutter} | {}", excerpt.line, excerpt.carets())?;
                }
            }
            Place::File { path, position: None } => write!(f, "\n{gutter}--> {}", path.display())?,
            Place::Variable(name) => write!(f, "\n{gutter}--> environment variable {name}")?,
            Place::Registry(value) => write!(f, "\n{gutter}--> {}", printable(value))?,
            Place::Flag(key) => write!(f, "\n{gutter}--> --set {}", printable(key))?,
        }
        if let Some(key) = &self.key {
            write!(f, "\n{gutter} = key: {}", printable(key))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{gutter} = help: {}", printable(help))?;
        }
        Ok(())
    }
}

/// Something that is wrong and did not keep the agent from loading its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub error: ConfigError,
    /// What was done about it.
    pub effect: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  = so: {}", self.error, self.effect)
    }
}

/// The line of a fault, with what must not be shown masked, and what follows the fault left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    line: String,
    before: usize,
    width: usize,
}

impl Excerpt {
    /// The line of `text` that holds `fault`; `hidden` are ranges to mask.
    pub(super) fn new(text: &str, fault: &Range<usize>, hidden: &[Range<usize>]) -> Self {
        let start = text[..fault.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[fault.start..].find('\n').map_or(text.len(), |at| fault.start + at);
        let fault_end = fault.end.clamp(fault.start, end);

        let from = text.floor_char_boundary(start.max(fault.start.saturating_sub(WIDEST)));
        let to = text.floor_char_boundary(fault_end.min(fault.start + WIDEST));
        let cut = |cut: bool| if cut { "..." } else { "" };
        let before = format!("{}{}", cut(from > start), masked(text, from..fault.start, hidden));
        let token = format!("{}{}", masked(text, fault.start..to, hidden), cut(to < fault_end));
        let after = text[fault_end..end].trim();
        let after = if matches!(after, "" | ",") { after } else { " ..." };
        Self {
            line: format!("{before}{token}{after}").trim_end().to_owned(),
            before: before.chars().count(),
            width: token.chars().count().max(1),
        }
    }

    fn carets(&self) -> String {
        format!("{}{}", " ".repeat(self.before), "^".repeat(self.width))
    }
}

/// Line and column, both from 1, of a byte of `text`.
pub(super) fn position(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let from_one = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    (from_one(before.matches('\n').count()), from_one(before[line_start..].chars().count()))
}

/// What a message quotes can be of any length, and hold what a terminal would obey.
fn printable(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    let cut = if end < text.len() { "..." } else { "" };
    format!("{}{cut}", text[..end].replace(char::is_control, " "))
}

fn masked(text: &str, range: Range<usize>, hidden: &[Range<usize>]) -> String {
    let mut out = String::new();
    let mut mask_open = false;
    for (offset, c) in text[range.clone()].char_indices() {
        let at = range.start + offset;
        let hide = hidden.iter().any(|hidden| hidden.contains(&at));
        if !hide {
            out.push(if c.is_control() { ' ' } else { c });
        } else if !mask_open {
            out.push_str(Secret::MASK);
        }
        mask_open = hide;
    }
    out
}
