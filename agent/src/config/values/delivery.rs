//! Values on the way to the collector: where a secret stands, which proxy is asked.

use std::fmt;
use std::path::PathBuf;

/// Where a secret stands that is not in the settings: `env:NAME`, `file:PATH`, `store:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment.
    Environment(String),
    /// A file of one line.
    File(PathBuf),
    /// The operating system's store of credentials.
    Store(String),
}

impl std::str::FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.trim().is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) if !path.trim().is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("store", name)) if !name.trim().is_empty() => Ok(Self::Store(name.to_owned())),
            // Not repeated: it may be the secret itself.
            _ => Err("the place of a secret is written as `env:NAME`, `file:PATH` or `store:NAME`; the secret itself \
                      does not belong here"
                .to_owned()),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Store(name) => write!(f, "store:{name}"),
        }
    }
}

/// Thumbprint of a certificate, as Windows shows it: 40 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbprint([u8; 20]);

impl Thumbprint {
    /// The SHA-1 of the certificate.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl std::str::FromStr for Thumbprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no thumbprint; it has 40 hexadecimal digits, as in the details of a certificate on Windows"
            )
        };
        // Windows' dialog shows blanks, and copies a mark of direction before the first digit.
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '\u{200e}').collect();
        const_hex::decode_to_array(digits).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.0))
    }
}

/// Which proxy is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// The operating system's, or that of the environment.
    #[default]
    System,
    /// None.
    None,
    /// This one.
    Address(url::Url),
}

impl std::str::FromStr for ProxyChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "system" => return Ok(Self::System),
            "none" => return Ok(Self::None),
            _ => {}
        }
        if text.contains('@') {
            return Err(
                "the address of a proxy must not hold a user or password; put them into `collector.proxy.user` \
                        and `collector.proxy.password`"
                    .to_owned(),
            );
        }
        let help = "allowed are `system`, `none` and an address as in `http://proxy.example.com:3128`";
        let url = url::Url::parse(text).map_err(|error| format!("`{text}` is no proxy ({error}); {help}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(format!("`{text}` is no proxy; {help}"));
        }
        Ok(Self::Address(url))
    }
}

impl fmt::Display for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::None => f.write_str("none"),
            Self::Address(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}
