//! Value types that validate themselves while they are read, so that an error of serde already has
//! a position and names the allowed values.

mod delivery;
mod expressions;
mod origin;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use delivery::{ProxyChoice, SecretSource, Thumbprint};
pub use expressions::{Expression, Pattern};
pub use origin::OriginPattern;

/// A duration, written for example `10s`, `500ms`, `2h 30m` or `14d`. At least 10 ms and at most
/// 365 days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// Shorter intervals would only waste CPU time.
    const MIN: Duration = Duration::from_millis(10);
    /// A longer duration is most likely a wrong unit.
    const MAX: Duration = Duration::from_hours(365 * 24);

    /// Creates a duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Creates a duration of milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Creates a duration without checking its range; for defaults.
    #[must_use]
    pub const fn from_duration(duration: Duration) -> Self {
        Self(duration)
    }

    /// Returns the duration as the type of the standard library.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || {
            format!(
                "`{text}` is not a duration; write a number with a unit, for example `10s`, `500ms`, `2m 30s` or `14d`"
            )
        };
        let span: jiff::Span = text.parse().map_err(|_| help())?;
        let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| help())?;
        let duration = Duration::try_from(signed).map_err(|_| help())?;
        if (Self::MIN..=Self::MAX).contains(&duration) {
            Ok(Self(duration))
        } else {
            Err(format!("`{text}` is out of range; use a duration from `10ms` to `365d`"))
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 3600;
        let seconds = self.0.as_secs();
        match jiff::SignedDuration::try_from(self.0) {
            Ok(_) if self.0.subsec_nanos() == 0 && seconds.is_multiple_of(DAY) && seconds > 0 => {
                write!(f, "{}d", seconds / DAY)
            }
            Ok(signed) => write!(f, "{signed:#}"),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where to start in a log file that existed before its kind was shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// At the first line.
    Beginning,
    /// At the end: only new lines are read.
    #[default]
    End,
    /// At the first record that is not older than this.
    Last(Period),
    /// At the first record of this time or later.
    Since(jiff::Timestamp),
}

impl std::str::FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            _ => {
                let last = text.parse().map(Self::Last);
                last.or_else(|_| text.parse().map(Self::Since)).map_err(|_| {
                    format!("`{text}` is not a start position; use `beginning`, `end`, a duration such as `24h`, or a time such as `2026-11-23T08:00:00Z`")
                })
            }
        }
    }
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::Last(period) => period.fmt(f),
            Self::Since(time) => time.fmt(f),
        }
    }
}

/// A size in bytes, written for example `64 MiB`, `500 KiB` or `1 GiB`, or as a plain number of
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    const UNITS: [(&'static str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

    /// Creates a size of mebibytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// Returns the size in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = Self::UNITS
            .iter()
            .find_map(|(name, factor)| text.trim().strip_suffix(name).map(|number| (number.trim(), *factor)))
            .unwrap_or((text.trim(), 1));
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).map(Self).ok_or_else(|| {
            format!(
                "`{text}` is not a size; write a whole number with a unit (B, KiB, MiB, GiB), for example `256 MiB`"
            )
        })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = Self::UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        write!(f, "{} {name}", self.0 / factor)
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A share: greater than 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
pub struct Ratio(f64);

impl Ratio {
    pub(super) const fn constant(value: f64) -> Self {
        Self(value)
    }

    /// Returns the share as a number between 0 and 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(D::Error::custom(format!(
                "{value} is not a share; use a number greater than 0 and at most 1, for example 0.9"
            )))
        }
    }
}

/// Address of a collector: an `http` or `https` URL with a host and without user, query or
/// fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(url::Url);

impl Endpoint {
    /// Returns the parsed address.
    #[must_use]
    pub fn url(&self) -> &url::Url {
        &self.0
    }

    /// Returns whether the address is a name or a loopback address of this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

/// Returns whether the host of `url` is `localhost` or a loopback address.
pub(super) fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        // Cannot fail: a test parses this literal.
        Self(url::Url::parse("http://localhost:4317").unwrap_or_else(|_| unreachable!()))
    }
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            return Err(
                "the address must not contain a user or password; put credentials into `collector.headers`".to_owned()
            );
        }
        let wrong = |why: &str| {
            format!(
                "`{text}` {why}; write the collector's address with its scheme, for example `https://collector.example.com:4317`"
            )
        };
        if text.contains(['?', '#']) {
            // Not quoted: a query may contain a key.
            return Err("the address must not contain a query or fragment; OTLP does not use them".to_owned());
        }
        let url = url::Url::parse(text).map_err(|error| wrong(&format!("is not a valid address ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(&format!(
                "has the scheme `{}`, but only `http` and `https` are supported",
                url.scheme()
            )));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("contains no host"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A value that is never shown: `Debug` and `Display` print a mask.
///
/// Serialization writes the real value, because the layers of settings are merged in serialized
/// form. Code that prints settings masks them first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Text shown instead of a secret.
    pub const MASK: &'static str = "********";

    /// Title of the type in the schema. Settings with this title are masked (see
    /// `schema::secrets`).
    pub(super) const SCHEMA_TITLE: &'static str = "secret text";

    /// Creates a secret from a text outside the settings.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the real value, for the code that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

/// A text with environment variables, written `%VAR%` or `%VAR?default%` as in io.Connect's own
/// settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(String);

impl Template {
    /// Returns the text with every variable replaced by the value from `lookup`, otherwise by its
    /// default, otherwise by nothing. A single `%` is kept.
    pub fn expand(&self, lookup: impl Fn(&str) -> Option<String>) -> String {
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let Some((inner, tail)) = after.split_once('%') else {
                out.push('%');
                rest = after;
                continue;
            };
            let (name, default) = inner.split_once('?').unwrap_or((inner, ""));
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_()-.".contains(c)) {
                out.push('%');
                rest = after;
                continue;
            }
            out.push_str(&lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()));
            rest = tail;
        }
        out.push_str(rest);
        out
    }

    /// Returns the text with the variables of this process's environment expanded.
    #[must_use]
    pub fn expand_env(&self) -> String {
        self.expand(|name| std::env::var(name).ok())
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Deserializes a string only; `expected` is used in the error message.
struct TextVisitor<T> {
    expected: &'static str,
    value: std::marker::PhantomData<T>,
}

impl<T: std::str::FromStr<Err = String>> serde::de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! serde_as_text {
    ($($type:ty: $expected:literal),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor { expected: $expected, value: std::marker::PhantomData })
            }
        }
    )*};
}
serde_as_text!(
    Period: "a duration in quotes, for example \"10s\"",
    StartAt: "`beginning`, `end`, a duration or a time, in quotes",
    Endpoint: "an address in quotes, for example \"https://collector.example.com:4317\"",
    ProxyChoice: "`system`, `none` or the address of a proxy, in quotes",
    SecretSource: "`env:NAME`, `file:PATH` or `store:NAME`, in quotes",
    Thumbprint: "a thumbprint in quotes",
    Expression: "a regular expression in quotes",
    Pattern: "a regular expression in quotes",
    OriginPattern: "an origin in quotes, for example \"https://*.example.com\""
);

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a size, for example \"256 MiB\"")]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(bytes) => Ok(Self(bytes)),
            Form::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

/// Implements the schema. The documentation and editors show the title as the type.
macro_rules! schema {
    ($($type:ident: $title:tt $schema:tt),* $(,)?) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                schema.insert("title".to_owned(), $title.into());
                schema
            }
        }
    )*};
}
schema! {
    Period: "duration" { "type": "string", "examples": ["10s", "500ms", "2m 30s", "14d"] },
    StartAt: "start position" { "type": "string", "examples": ["end", "beginning", "24h", "2026-11-23T08:00:00Z"] },
    ByteSize: "size" { "type": ["string", "integer"], "minimum": 0, "examples": ["256 MiB", "64 MiB"] },
    Ratio: "number above 0, at most 1" { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
    Endpoint: "address" { "type": "string", "examples": ["https://collector.example.com:4317"] },
    ProxyChoice: "`system`, `none` or address" { "type": "string", "examples": ["system", "none", "http://proxy.example.com:3128"] },
    SecretSource: "location of a secret" { "type": "string", "examples": ["env:OTLP_TOKEN", "file:/etc/otlp/token", "store:otlp"] },
    Thumbprint: "thumbprint" { "type": "string", "examples": ["a909502dd82ae41433e6f83886b00d4277a32a7b"] },
    Secret: (Secret::SCHEMA_TITLE) { "type": "string" },
    Template: "text with variables" { "type": "string", "examples": ["%DEPT?unknown%"] },
    Expression: "regular expression" { "type": "string", "examples": ["^ping"] },
    Pattern: "regular expression" { "type": "string", "examples": ["^(?<time>\\S+) (?<message>.*)$"] },
    OriginPattern: "web origin" { "type": "string", "examples": ["https://*.example.com"] },
}
