//! The user's settings file: JSON with comments (`//`, `/* */`, `#`) and trailing commas. Also
//! keeps the copy of the last file that worked.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check::{self, Finding};
use super::error::{ConfigError, ErrorKind, Excerpt, Place, position};
use super::key::KeyPath;
use super::layers;
use super::positions::Positions;

/// Maximum size of a settings file. Settings are a few KiB, so a larger file is something else.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file that was read and validated. It contains secrets in clear text, so it has no `Debug`.
pub(super) struct FileLayer {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) tree: Value,
    positions: Positions,
}

impl FileLayer {
    /// Returns the line of the value at `path`, starting at 1.
    pub(super) fn line(&self, path: &KeyPath) -> u32 {
        self.positions.nearest(path).map_or(1, |entry| position(&self.text, entry.value.start).0)
    }
}

/// Reads and validates the file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<FileLayer>, ConfigError> {
    text(path)?.map(|text| parse(path, text)).transpose()
}

/// Reads the organisation's policy file. Only root may be able to write it; otherwise a user could
/// set their own policy.
#[cfg(unix)]
pub(super) fn read_policy(path: &Path) -> Result<Option<FileLayer>, ConfigError> {
    use std::os::unix::fs::MetadataExt as _;
    match std::fs::metadata(path) {
        Ok(metadata) if !is_writable_by_root_only(metadata.uid(), metadata.mode()) => {
            let message = "the policy file must be owned by root and writable by root only";
            let mut error = whole(path, ErrorKind::Unreadable, message.to_owned());
            error.help = Some("run as root: `chown root FILE; chmod 644 FILE`, or remove the file".into());
            Err(error)
        }
        _ => read(path),
    }
}

/// Returns whether only root can write a file with this owner and mode.
#[cfg(unix)]
pub(super) const fn is_writable_by_root_only(owner: u32, mode: u32) -> bool {
    owner == 0 && mode & 0o022 == 0
}

/// Returns the text of a file; `None` if it does not exist.
pub(super) fn text(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |message: String| whole(path, ErrorKind::Unreadable, message);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(format!("failed to read the settings file: {error}"))),
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => {
            let message = format!("the file is larger than the maximum of {} KiB for settings", MAX_FILE_BYTES / 1024);
            return Err(whole(path, ErrorKind::TooLarge, message));
        }
        Ok(_) => {}
    }
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("the file is not UTF-8 text; save it as UTF-8".into()))?;
    Ok(Some(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()))
}

/// Returns the error for a file that must exist and does not.
pub(super) fn missing(path: &Path) -> ConfigError {
    whole(path, ErrorKind::Missing, "the file does not exist".to_owned())
}

fn whole(path: &Path, kind: ErrorKind, message: String) -> ConfigError {
    let place = Place::File { path: path.to_owned(), position: None };
    ConfigError { kind, place, key: None, message, help: None, excerpt: None }
}

/// Parses and validates `text` as settings. `path` is used in error messages only.
pub(super) fn parse(path: &Path, text: String) -> Result<FileLayer, ConfigError> {
    let json = strip(&text)
        .map_err(|(at, message)| error(path, &text, &Positions::default(), Fault::syntax(at..at + 1, message)))?;
    let mut tree: Value = match serde_json::from_str(&json) {
        Ok(tree) => tree,
        Err(wrong) => {
            let fault = syntax_fault(&text, &json, &wrong);
            let positions = Positions::of(&json[..fault.range.start]);
            return Err(error(path, &text, &positions, fault));
        }
    };
    // Editors use this key to find the schema. It is not a setting.
    if let Some(root) = tree.as_object_mut().filter(|root| root.get("$schema").is_some_and(Value::is_string)) {
        root.shift_remove("$schema");
    }
    let positions = Positions::of(&json);
    if let Err(finding) = check::check(&tree) {
        let fault = finding_fault(finding, &positions);
        return Err(error(path, &text, &positions, fault));
    }
    if let Some(duplicate) = &positions.first_duplicate {
        let (first, _) = position(&text, duplicate.first.start);
        let fault = Fault {
            kind: ErrorKind::DuplicateKey,
            range: duplicate.second.clone(),
            key: Some(duplicate.path.to_string()),
            message: format!(
                "the key {} occurs twice; it is also set in line {first}",
                &text[duplicate.second.clone()]
            ),
            help: Some("remove one of the two keys".into()),
        };
        return Err(error(path, &text, &positions, fault));
    }
    Ok(FileLayer { path: path.to_owned(), text, tree, positions })
}

struct Fault {
    kind: ErrorKind,
    range: Range<usize>,
    key: Option<String>,
    message: String,
    help: Option<Box<str>>,
}

impl Fault {
    fn syntax(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Syntax, range, key: None, message: message.into(), help: None }
    }
}

fn error(path: &Path, text: &str, positions: &Positions, fault: Fault) -> ConfigError {
    let defaults = layers::defaults();
    let hidden: Vec<Range<usize>> = positions
        .entries
        .iter()
        .chain(positions.overridden.iter().map(|(path, entry)| (path, entry)))
        .filter(|(path, entry)| {
            let value = &text[entry.value.clone()];
            let single = !value.starts_with('{');
            let address = value.contains("://") || path.to_string() == "collector.endpoint";
            let credentials = address && value.contains(['@', '?']);
            single && (path.is_secret() || credentials || !path.is_known(&defaults))
        })
        .map(|(_, entry)| entry.value.clone())
        .collect();
    ConfigError {
        kind: fault.kind,
        place: Place::File { path: path.to_owned(), position: Some(position(text, fault.range.start)) },
        key: fault.key,
        message: fault.message,
        help: fault.help,
        excerpt: Some(Box::new(Excerpt::new(text, &fault.range, &hidden))),
    }
}

/// Replaces comments and trailing commas by spaces, so that every byte keeps its position.
pub(super) fn strip(text: &str) -> Result<String, (usize, &'static str)> {
    /// Marker after the text. It disappears if the text ends inside a comment.
    const END: &str = "\n|";
    let mut json = format!("{text}{END}");
    if json_strip_comments::strip_comments_in_place(&mut json).is_err() {
        // The call stops right after it has replaced the `/` that starts no comment.
        let at = (0..text.len()).rev().find(|&at| text.as_bytes()[at] != json.as_bytes()[at]).unwrap_or_default();
        return Err((at, "this `/` does not start a comment; write comments as `// ...` or `/* ... */`"));
    }
    if !json.ends_with(END) {
        return Err((text.rfind("/*").unwrap_or_default(), "this comment is not closed; add `*/`"));
    }
    json.truncate(text.len());
    Ok(json)
}

/// Locates a syntax error. `json` is `text` with comments replaced by spaces byte for byte, so a
/// position in `json` may be inside a multi-byte character of `text`.
fn syntax_fault(text: &str, json: &str, wrong: &serde_json::Error) -> Fault {
    if json.trim().is_empty() {
        let mut fault = Fault::syntax(0..0, "the file is empty");
        fault.help = Some("write `{}` to use the default settings, or remove the file".into());
        return fault;
    }
    let message = wrong.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let line_start = json.split_inclusive('\n').take(wrong.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let mut at = text.floor_char_boundary(line_start + wrong.column().saturating_sub(1));
    if message.starts_with("expected `,`") {
        // The comma is missing after the previous value, which may be some lines above.
        at = json[..at].trim_end().len();
    }
    let what = match (message, message.strip_prefix("EOF while parsing ")) {
        (_, Some(inside)) => format!("the file ends inside {inside}"),
        ("expected value", _) => {
            "expected text in quotes, a number, `true`, `false`, `null`, a list or an object".to_owned()
        }
        _ => message.to_owned(),
    };
    let width = text[at..].chars().next().map_or(0, char::len_utf8);
    Fault::syntax(at..at + width, format!("this is not valid JSON: {what}"))
}

fn finding_fault(finding: Finding, positions: &Positions) -> Fault {
    let range = positions.nearest(&finding.path).map_or(0..0, |entry| match (&entry.key, finding.kind) {
        (Some(key), ErrorKind::UnknownKey) => key.clone(),
        _ => entry.value.clone(),
    });
    let key = Some(finding.path.to_string()).filter(|key| !key.is_empty());
    Fault { kind: finding.kind, range, key, message: finding.message, help: finding.help }
}
