//! Values for the connection to the collector: locations of secrets, thumbprints, proxies.

use std::fmt;
use std::path::PathBuf;

/// Location of a secret outside the settings: `env:NAME`, `file:PATH` or `store:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment(String),
    /// A file with one line.
    File(PathBuf),
    /// An entry of the operating system's credential store.
    Store(String),
}

impl std::str::FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.trim().is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) if !path.trim().is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("store", name)) if !name.trim().is_empty() => Ok(Self::Store(name.to_owned())),
            // Not quoted: it may be the secret itself.
            _ => {
                Err("not a location of a secret; write `env:NAME`, `file:PATH` or `store:NAME`, not the secret itself"
                    .to_owned())
            }
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

/// Thumbprint of a certificate as Windows shows it: 40 hexadecimal digits, the SHA-1 of the
/// certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbprint([u8; 20]);

impl Thumbprint {
    /// Returns the SHA-1 of the certificate.
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
                "`{text}` is not a thumbprint; copy the 40 hexadecimal digits from the details of the certificate in Windows"
            )
        };
        // The Windows dialog shows spaces, and copies a left-to-right mark before the first digit.
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '\u{200e}').collect();
        const_hex::decode_to_array(digits).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.0))
    }
}

/// Which proxy is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// The proxy of the operating system, or of the environment variables.
    #[default]
    System,
    /// No proxy.
    None,
    /// The proxy at this address.
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
            return Err("the proxy address must not contain a user or password; put them into `collector.proxy.user` \
                        and `collector.proxy.password`"
                .to_owned());
        }
        let help = "use `system`, `none` or an address such as `http://proxy.example.com:3128`";
        let url = url::Url::parse(text).map_err(|error| format!("`{text}` is not a proxy ({error}); {help}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(format!("`{text}` is not a proxy; {help}"));
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
