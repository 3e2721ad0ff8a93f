//! Signs programs and installers (Authenticode). Environment variables choose the signer:
//!
//! - `SIGN_COMMAND`: a command line with `{file}` in it, for keys that are stored elsewhere:
//!   `signtool sign ... {file}` on Windows with Azure's Trusted Signing, or the program of a
//!   signing service.
//! - `SIGN_PKCS12` and `SIGN_PASSWORD_FILE`: a certificate with its key, used by osslsigncode. With
//!   `SIGN_TIMESTAMP`, the address of a timestamping service, signatures stay valid after the
//!   certificate has expired.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::machine;
use crate::step::{command, run};

/// How files are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The words of a command line; `{file}` stands for the file.
    Command(Vec<String>),
    /// A certificate with its key.
    Pkcs12 { file: PathBuf, password_file: PathBuf, timestamp: Option<String> },
}

impl Signer {
    /// Returns the signer from the environment variables, if they name one.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(line) = variable("SIGN_COMMAND") {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            if !words.iter().any(|word| word.contains("{file}")) {
                bail!("SIGN_COMMAND must contain {{file}}");
            }
            return Ok(Some(Self::Command(words)));
        }
        let Some(file) = variable("SIGN_PKCS12") else { return Ok(None) };
        let password_file = variable("SIGN_PASSWORD_FILE").context("SIGN_PKCS12 needs SIGN_PASSWORD_FILE")?;
        Ok(Some(Self::Pkcs12 {
            file: file.into(),
            password_file: password_file.into(),
            timestamp: variable("SIGN_TIMESTAMP"),
        }))
    }

    /// Signs a program or an installer in place.
    pub(crate) fn sign(&self, file: &Path) -> Result<()> {
        match self {
            Self::Command(words) => {
                let shown = file.display().to_string();
                let words: Vec<String> = words.iter().map(|word| word.replace("{file}", &shown)).collect();
                run(&mut command(&words.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            Self::Pkcs12 { file: key, password_file, timestamp } => {
                machine::installer()?;
                let signed = file.with_extension("signed");
                let mut sign = command(&["osslsigncode", "sign", "-h", "sha256", "-n", "Insights Agent"]);
                sign.arg("-pkcs12").arg(key).arg("-readpass").arg(password_file);
                if let Some(timestamp) = timestamp {
                    sign.args(["-ts", timestamp]);
                }
                sign.arg("-in").arg(file).arg("-out").arg(&signed).stdout(std::process::Stdio::null());
                run(&mut sign)?;
                std::fs::rename(&signed, file).with_context(|| format!("failed to replace {}", file.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
