//! Patterns for web origins.

use std::fmt;

use crate::glob;

/// Origin that browsers send for pages without one, for example pages opened from files (RFC 6454,
/// section 6.1).
const OPAQUE: &str = "null";
/// Pattern for any port.
const ANY: &str = "*";

/// A pattern for web origins: scheme, host and port as browsers send them (RFC 6454, section 6.2).
/// In the host `*` matches any characters; as the port it matches any port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// The origin `null`.
    Opaque,
    /// All other origins.
    Of {
        /// Scheme in lower case, without `://`.
        scheme: String,
        /// Host; may contain `*`.
        host: String,
        /// Port; `None` for the default port of the scheme.
        port: Option<String>,
    },
}

impl OriginPattern {
    /// Returns whether an origin matches.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Opaque => origin == OPAQUE,
            Self::Of { scheme, host, port } => parts(origin).is_some_and(|(its_scheme, its_host, its_port)| {
                let of_port = port.as_deref() == Some(ANY) || port.as_deref() == its_port;
                of_port && scheme.eq_ignore_ascii_case(its_scheme) && glob::matches(host, its_host)
            }),
        }
    }
}

impl std::str::FromStr for OriginPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == OPAQUE {
            return Ok(Self::Opaque);
        }
        let help = "write scheme, host, and the port if it is not the default, without a path or a slash at the end, \
                    for example `https://*.example.com` or `http://localhost:3000`; `null` is the origin of pages \
                    opened from files";
        let Some((scheme, host, port)) = parts(text) else {
            return Err(format!("`{text}` is not a web origin; {help}"));
        };
        let port = match (scheme.to_ascii_lowercase().as_str(), port) {
            // Browsers leave out the default port.
            ("http", Some("80")) | ("https", Some("443")) => None,
            (_, port) => port.map(str::to_owned),
        };
        Ok(Self::Of { scheme: scheme.to_ascii_lowercase(), host: host.to_owned(), port })
    }
}

/// Splits an origin into scheme, host and port.
fn parts(origin: &str) -> Option<(&str, &str, Option<&str>)> {
    let (scheme, rest) = origin.split_once("://")?;
    let is_port = |port: &str| port == ANY || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@']);
    (is_scheme && is_host && port.is_none_or(is_port)).then_some((scheme, host, port))
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opaque => f.write_str(OPAQUE),
            Self::Of { scheme, host, port: None } => write!(f, "{scheme}://{host}"),
            Self::Of { scheme, host, port: Some(port) } => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}
