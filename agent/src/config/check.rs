//! Validates a layer: its structure, its types, and the rules that types cannot express.

use serde::Deserialize;
use serde_json::Value;

use super::error::ErrorKind;
use super::key::KeyPath;
use super::layers;
use super::model::{LayoutSettings, Settings};
use super::values::{ByteSize, Secret};

/// Minimum size of the queue. A smaller one holds less than one large batch and would drop data
/// constantly.
const MIN_QUEUE_SIZE: ByteSize = ByteSize::from_mib(1);

/// A fault in a tree.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) path: KeyPath,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) help: Option<Box<str>>,
}

impl Finding {
    pub(super) fn value(path: KeyPath, message: impl Into<String>) -> Self {
        Self { path, kind: ErrorKind::Value, message: message.into(), help: None }
    }
}

/// Returns the settings that result from the defaults and `tree`, or the first fault.
pub(super) fn check(tree: &Value) -> Result<Settings, Finding> {
    shape(tree, &layers::defaults(), &KeyPath::default())?;
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(tree, &mut track);
    let settings = Settings::deserialize(deserializer)
        .map_err(|error| readable(KeyPath::from(&track.path()), &error.to_string()))?;
    cross_check(&settings).map_or(Ok(settings), Err)
}

/// Checks that objects and lists are where the defaults have them. Serde alone would also accept a
/// list for a structure, and an object for the name of a variant.
fn shape(tree: &Value, defaults: &Value, path: &KeyPath) -> Result<(), Finding> {
    let expected = match (tree, defaults) {
        (Value::Object(tree), Value::Object(defaults)) => {
            for (key, value) in tree {
                if let Some(default) = defaults.get(key) {
                    shape(value, default, &path.key(key))?;
                }
            }
            return Ok(());
        }
        (Value::Array(items), Value::Array(_)) => match items.iter().position(Value::is_array) {
            Some(index) => return Err(Finding::value(path.index(index), "expected a value, found a list in a list")),
            None => return Ok(()),
        },
        (_, Value::Object(_)) => "an object `{ ... }`",
        (_, Value::Array(_)) => "a list `[ ... ]`",
        (Value::Object(_) | Value::Array(_), _) => "a single value",
        _ => return Ok(()),
    };
    Err(Finding::value(path.clone(), format!("expected {expected}, found {}", found(tree))))
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(true) => "`true`",
        Value::Bool(false) => "`false`",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Translates an error message of serde. The values it quotes are left out because they may be
/// secret.
fn readable(path: KeyPath, message: &str) -> Finding {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let ([name, allowed @ ..], Some(what)) = (names.as_slice(), unknown(message)) {
        let (kind, what) = what;
        let nearest = nearest(name, allowed).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        return Finding {
            path,
            kind,
            message: format!("unknown {what} `{name}`"),
            help: Some(format!("{nearest}allowed are: {}", allowed.join(", ")).into()),
        };
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        return Finding::value(path, format!("the required setting {name} is missing"));
    }
    let types = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((actual, expected)) = types.and_then(|types| types.rsplit_once(", expected ")) {
        let actual = match actual.split_whitespace().next().unwrap_or_default() {
            "string" => "text",
            "integer" | "floating" => "a number",
            "boolean" => "`true` or `false`",
            "map" => "an object",
            "sequence" => "a list",
            _ => "`null`",
        };
        let expected = match expected {
            "a boolean" => "`true` or `false`",
            "a string" | "path string" | "string or map" => "text in quotes",
            "f64" => "a number",
            other if other.starts_with("struct ") => "an object `{ ... }`",
            other => other,
        };
        return Finding::value(path, format!("expected {expected}, found {actual}"));
    }
    Finding::value(path, message)
}

fn unknown(message: &str) -> Option<(ErrorKind, &'static str)> {
    if message.starts_with("unknown field ") {
        Some((ErrorKind::UnknownKey, "setting"))
    } else if message.starts_with("unknown variant ") {
        Some((ErrorKind::Value, "value"))
    } else {
        None
    }
}

/// Returns the known name closest to `name`, if they differ in at most a third of the letters.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Longer names cannot be misspellings of a known name.
    const MAX_NAME_BYTES: usize = 64;
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let (distance, best) = known.iter().map(|known| (strsim::levenshtein(name, known), *known)).min()?;
    (distance <= (best.len() / 3).max(1)).then_some(best)
}

fn cross_check(settings: &Settings) -> Option<Finding> {
    let collector = &settings.collector;
    let places = ["collector", "collector.metrics", "collector.traces", "collector.logs", "collector.fallback"];
    let of_signals = [&collector.metrics, &collector.traces, &collector.logs, &collector.fallback];
    let maps = std::iter::once(&collector.headers).chain(of_signals.map(|of| &of.headers));
    let wrong = places.iter().zip(maps).find_map(|(place, map)| {
        let place = KeyPath::from_dotted(place).key("headers");
        map.iter().find_map(|(name, value)| header(&place, name, Some(value)))
    });
    let from = KeyPath::from_dotted("collector.headers_from");
    let wrong = wrong.or_else(|| collector.headers_from.keys().find_map(|name| header(&from, name, None)));
    if wrong.is_some() {
        return wrong;
    }
    let attributes = KeyPath::from_dotted("resource.attributes");
    if let Some(key) = settings.resource.attributes.keys().find(|key| key.trim().is_empty()) {
        return Some(Finding::value(attributes.key(key), "the name of an attribute must not be empty"));
    }
    if settings.queue.max_bytes < MIN_QUEUE_SIZE {
        let message =
            format!("`{}` is too small for the queue; the minimum is {MIN_QUEUE_SIZE}", settings.queue.max_bytes);
        return Some(Finding::value(KeyPath::from_dotted("queue.max_bytes"), message));
    }
    settings.logs.layouts.iter().enumerate().find_map(|(index, layout)| {
        let path = KeyPath::from_dotted("logs.layouts").index(index);
        if layout.files.trim().is_empty() {
            return Some(Finding::value(path.key("files"), "the file name must not be empty; `*` matches every file"));
        }
        let has_time = layout.pattern.regex().capture_names().flatten().any(|name| name == "time");
        if !has_time && layout.time_format != LayoutSettings::default_time_format() {
            let message = "`time_format` is set, but the pattern has no group `time`";
            return Some(Finding::value(path.key("time_format"), message));
        }
        time_format(&layout.time_format).err().map(|message| Finding::value(path.key("time_format"), message))
    })
}

/// Returns the fault of a header, if any.
fn header(place: &KeyPath, name: &str, value: Option<&Secret>) -> Option<Finding> {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("{name:?} is not a valid header name; use ASCII letters, digits and `-`");
        return Some(Finding::value(place.key(name), message));
    }
    let can_be_sent = |value: &Secret| http::HeaderValue::from_str(value.reveal()).is_ok() && value.reveal().is_ascii();
    let message = "the header value contains characters that cannot be sent; use printable ASCII without line breaks";
    (!value.is_none_or(can_be_sent)).then(|| Finding::value(place.key(name), message))
}

/// Checks that jiff can parse times with `format`: it must parse what it formats.
fn time_format(format: &str) -> Result<(), String> {
    use jiff::fmt::strtime;
    let wrong = |why: &str| format!("{format:?} is not a valid time format: {why}");
    // any time without a zero part
    let sample = jiff::Timestamp::new(981_173_106, 789_000_000).unwrap_or_default();
    let sample = sample.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let written = strtime::format(format, &sample).map_err(|error| wrong(&error.to_string()))?;
    let time = strtime::parse(format, written).map_err(|error| wrong(&error.to_string()))?;
    if time.to_timestamp().is_ok() || time.to_datetime().is_ok() {
        Ok(())
    } else {
        Err(wrong("it must contain year, month, day and time of day, as in `%Y-%m-%d %H:%M:%S`"))
    }
}
