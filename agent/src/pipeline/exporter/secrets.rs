//! Secrets that stand elsewhere than in the settings: in the environment, in a file, in the system's store of credentials.

use std::path::Path;
use std::thread;

use crate::config::{Secret, SecretSource};

/// Longest file with a secret: tokens have some kilobytes.
const LARGEST_FILE: u64 = 64 << 10;
/// What the agent's entries of the credential store are filed under.
const SERVICE: &str = "insights-agent";

/// Why there is none; without the secret.
pub(super) type Missing = String;

/// The secret as it is now. May take as long as a disk in the network.
pub(super) fn read(source: &SecretSource) -> Result<Secret, Missing> {
    let text = match source {
        SecretSource::Environment(name) => std::env::var(name).map_err(|_| format!("there is no variable {name}"))?,
        SecretSource::File(path) => file(path)?,
        SecretSource::Store(name) => stored(name)?,
    };
    let text = text.trim();
    if text.is_empty() { Err(format!("{source} is empty")) } else { Ok(Secret::new(text)) }
}

/// The same, for asynchronous code.
pub(super) async fn read_soon(source: &SecretSource) -> Result<Secret, Missing> {
    let source = source.clone();
    let read = tokio::task::spawn_blocking(move || read(&source)).await;
    read.map_err(|error| error.to_string())?
}

fn file(path: &Path) -> Result<String, Missing> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
        return Err(format!("{shown} is larger than {} KiB, so it is no secret", LARGEST_FILE / 1024));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Asked on a thread of its own: the store of Linux waits for answers of the session's bus.
fn stored(name: &str) -> Result<String, Missing> {
    let asked = name.to_owned();
    let thread = thread::Builder::new().name("credentials".to_owned()).spawn(move || ask(&asked));
    let answer = thread.map_err(|error| error.to_string())?.join();
    let answer = answer.map_err(|_| "the store of credentials could not be asked".to_owned())?;
    answer.map_err(|error| match error {
        keyring_core::Error::NoEntry => format!("the system's store of credentials has no {SERVICE}/{name}"),
        // Some variants hold what was read.
        keyring_core::Error::BadEncoding(_) | keyring_core::Error::BadDataFormat(..) => {
            format!("{SERVICE}/{name} of the system's store of credentials is no text")
        }
        error => format!("the system's store of credentials does not answer: {error}"),
    })
}

/// The Secret Service of the session.
#[cfg(target_os = "linux")]
fn ask(name: &str) -> keyring_core::Result<String> {
    use keyring_core::api::CredentialStoreApi as _;
    zbus_secret_service_keyring_store::Store::new()?.build(SERVICE, name, None)?.get_password()
}

/// The Credential Manager: a generic credential `insights-agent/NAME`.
#[cfg(windows)]
fn ask(name: &str) -> keyring_core::Result<String> {
    use keyring_core::api::CredentialStoreApi as _;
    let target = format!("{SERVICE}/{name}");
    let by_target = [("target", target.as_str())].into();
    windows_native_keyring_store::Store::new()?.build(SERVICE, name, Some(&by_target))?.get_password()
}
