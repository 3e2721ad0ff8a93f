//! Secrets that are stored outside the settings: in the environment, in a file, or in the
//! credential store of the operating system.

use std::path::Path;
use std::thread;

use crate::config::{Secret, SecretSource};

/// Maximum size of a file with a secret; tokens have a few kilobytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// Service name of the agent's entries in the credential store.
const SERVICE: &str = "insights-agent";

/// Why a secret is not available. Never contains the secret.
pub(super) type Missing = String;

/// Reads the current value of a secret. Blocks, for example on a network drive.
pub(super) fn read(source: &SecretSource) -> Result<Secret, Missing> {
    let text = match source {
        SecretSource::Environment(name) => {
            std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?
        }
        SecretSource::File(path) => read_file(path)?,
        SecretSource::Store(name) => read_store(name)?,
    };
    let text = text.trim();
    if text.is_empty() { Err(format!("{source} is empty")) } else { Ok(Secret::new(text)) }
}

/// Reads the current value of a secret without blocking the runtime.
pub(super) async fn read_async(source: &SecretSource) -> Result<Secret, Missing> {
    let source = source.clone();
    let read = tokio::task::spawn_blocking(move || read(&source)).await;
    read.map_err(|error| error.to_string())?
}

fn read_file(path: &Path) -> Result<String, Missing> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(format!("{shown} is larger than {} KiB, too large for a secret", MAX_FILE_BYTES / 1024));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Reads an entry of the credential store on a separate thread, because the store of Linux blocks
/// on answers from the session bus.
fn read_store(name: &str) -> Result<String, Missing> {
    let entry = name.to_owned();
    let thread = thread::Builder::new().name("credentials".to_owned()).spawn(move || query_store(&entry));
    let answer = thread.map_err(|error| error.to_string())?.join();
    let answer = answer.map_err(|_| "reading the system credential store panicked".to_owned())?;
    answer.map_err(|error| match error {
        keyring_core::Error::NoEntry => format!("the system credential store has no entry {SERVICE}/{name}"),
        // Some variants contain the value that was read, so their text is not used.
        keyring_core::Error::BadEncoding(_) | keyring_core::Error::BadDataFormat(..) => {
            format!("the entry {SERVICE}/{name} of the system credential store is not text")
        }
        error => format!("the system credential store is not available: {error}"),
    })
}

/// Queries the Secret Service of the session.
#[cfg(target_os = "linux")]
fn query_store(name: &str) -> keyring_core::Result<String> {
    use keyring_core::api::CredentialStoreApi as _;
    zbus_secret_service_keyring_store::Store::new()?.build(SERVICE, name, None)?.get_password()
}

/// Queries the Credential Manager for the generic credential `insights-agent/NAME`.
#[cfg(windows)]
fn query_store(name: &str) -> keyring_core::Result<String> {
    use keyring_core::api::CredentialStoreApi as _;
    let target = format!("{SERVICE}/{name}");
    let by_target = [("target", target.as_str())].into();
    windows_native_keyring_store::Store::new()?.build(SERVICE, name, Some(&by_target))?.get_password()
}
