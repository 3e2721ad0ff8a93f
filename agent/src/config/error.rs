//! Errors in settings, worded so that the reader can correct them: what is wrong, where, and what
//! to do.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::values::Secret;

/// Maximum bytes of a line shown before the fault, and of the fault itself. A file may be one long
/// line.
const MAX_EXCERPT_BYTES: usize = 100;

/// Maximum bytes of a message.
const MAX_MESSAGE_BYTES: usize = 400;

/// Kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The file given on the command line does not exist.
    Missing,
    /// The file cannot be read, is not text, or its owner or permissions are wrong.
    Unreadable,
    /// The file is larger than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES).
    TooLarge,
    /// The text is not valid JSON, or the flag is not of the form `key=value`.
    Syntax,
    /// The setting does not exist.
    UnknownKey,
    /// An object contains the same key twice.
    DuplicateKey,
    /// The value has the wrong type or is not allowed.
    Value,
}

/// Where the fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Line and column of the fault, starting at 1, columns in characters. `None` if the fault
        /// concerns the whole file.
        position: Option<(u32, u32)>,
    },
    /// An environment variable.
    Variable(String),
    /// A value of the Windows registry.
    Registry(String),
    /// The key of a `--set` on the command line.
    Flag(String),
}

/// A fault in settings. `Display` is the complete text for people, in several lines. It never
/// contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Kind of fault.
    pub kind: ErrorKind,
    /// Where the fault is.
    pub place: Place,
    /// The affected setting, for example `logs.layouts[0].pattern`.
    pub key: Option<String>,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// How to correct it, if known.
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

/// A fault that did not prevent the settings from loading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub error: ConfigError,
    /// What the agent did instead.
    pub effect: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  = note: {}", self.error, self.effect)
    }
}

/// The line with the fault. Secrets are masked, and the rest of the line after the fault is left
/// out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    line: String,
    before: usize,
    width: usize,
}

impl Excerpt {
    /// Returns the excerpt of `text` at `fault`, with the ranges `hidden` masked.
    pub(super) fn new(text: &str, fault: &Range<usize>, hidden: &[Range<usize>]) -> Self {
        let start = text[..fault.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[fault.start..].find('\n').map_or(text.len(), |at| fault.start + at);
        let fault_end = fault.end.clamp(fault.start, end);

        let from = text.floor_char_boundary(start.max(fault.start.saturating_sub(MAX_EXCERPT_BYTES)));
        let to = text.floor_char_boundary(fault_end.min(fault.start + MAX_EXCERPT_BYTES));
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

/// Returns line and column, both starting at 1, of a byte of `text`.
pub(super) fn position(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let from_one = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    (from_one(before.matches('\n').count()), from_one(before[line_start..].chars().count()))
}

/// Shortens a text and replaces control characters: quoted input may be long, or contain terminal
/// sequences.
fn printable(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_MESSAGE_BYTES);
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
