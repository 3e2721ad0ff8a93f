//! Origins of web pages, with patterns in them.

use std::fmt;

use crate::glob;

/// The origin that browsers give to pages without one: those from files, for example (RFC 6454, section 6.1).
const OPAQUE: &str = "null";
/// Any port.
const ANY: &str = "*";

/// Origins of web pages: scheme, host and port, as browsers write them (RFC 6454, section 6.2). In the host `*` stands for any
/// characters, as a port for any port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// `null`.
    Opaque,
    /// Every other.
    Of {
        /// In lower case, without `://`.
        scheme: String,
        /// With patterns.
        host: String,
        /// None if it is the scheme's own.
        port: Option<String>,
    },
}

impl OriginPattern {
    /// Whether an origin is one of these.
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
        let help = "an origin is a scheme and a host, and a port if it is not the scheme's own, without a path \
                    or a slash at its end, as in `https://*.example.com` or `http://localhost:3000`; `null` stands for pages from files";
        let Some((scheme, host, port)) = parts(text) else {
            return Err(format!("`{text}` is no origin; {help}"));
        };
        let port = match (scheme.to_ascii_lowercase().as_str(), port) {
            // Browsers leave it out.
            ("http", Some("80")) | ("https", Some("443")) => None,
            (_, port) => port.map(str::to_owned),
        };
        Ok(Self::Of { scheme: scheme.to_ascii_lowercase(), host: host.to_owned(), port })
    }
}

/// Scheme, host and port of what is written as an origin.
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
