//! The OpenTelemetry resource: the attributes of origin that all metrics, traces and logs share, so
//! that a spike in a metric leads to the logs of the same machine, user and session.
//!
//! **Invariant:** it is created once, at startup. `session.id` stays the same when the agent
//! restarts, and changes with the user's session.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as ProtoKeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_semantic_conventions::attribute as semconv;
use prost::Message;
use ring::hmac;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{ResourceSettings, Template, UserPolicy};
use crate::paths::{DataDir, write_atomically};

/// `service.name` of the agent's own data.
pub const SERVICE_NAME: &str = "insights-agent";
/// `schema_url` of the data that the agent creates: the version of the semantic conventions in use.
pub const SCHEMA_URL: &str = opentelemetry_semantic_conventions::SCHEMA_URL;
/// Maximum difference between two readings of the boot time. It is derived from the clock, which is
/// corrected from time to time.
const BOOT_TIME_TOLERANCE_SECS: u64 = 120;

/// Attributes of the resource, by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource(BTreeMap<String, String>);

impl Resource {
    /// Detects the attributes of this machine, user and session. Attributes set by the company take
    /// precedence.
    #[must_use]
    pub fn detect(settings: &ResourceSettings, data: &DataDir) -> Self {
        let mut attributes = BTreeMap::new();
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                attributes.insert(key.to_owned(), value);
            }
        };
        put(semconv::SERVICE_NAME, Some(SERVICE_NAME.to_owned()));
        put(semconv::SERVICE_VERSION, Some(env!("CARGO_PKG_VERSION").to_owned()));
        put(semconv::SERVICE_INSTANCE_ID, Some(Uuid::new_v4().to_string()));
        put(semconv::HOST_NAME, sysinfo::System::host_name().ok());
        put(semconv::HOST_ID, platform::machine_id());
        put(semconv::HOST_ARCH, Some(host_arch(std::env::consts::ARCH).to_owned()));
        put(semconv::OS_TYPE, Some(std::env::consts::OS.to_owned()));
        put(semconv::OS_NAME, sysinfo::System::name().ok());
        put(semconv::OS_VERSION, sysinfo::System::os_version().ok());
        put(semconv::OS_DESCRIPTION, sysinfo::System::long_os_version().ok());
        put(semconv::SESSION_ID, Some(session_id(&data.session(), &SessionIdentity::now())));
        put(semconv::DEPLOYMENT_ENVIRONMENT_NAME, settings.environment.as_ref().map(Template::expand_env));
        if let Some(name) = user_name() {
            match settings.user {
                UserPolicy::Name => put(semconv::USER_NAME, Some(name)),
                UserPolicy::Hash => {
                    let key = match &settings.user_hash_key {
                        Some(key) => Ok(key.reveal().as_bytes().to_vec()),
                        None => installation_key(&data.user_hash_key()),
                    };
                    match key {
                        Ok(key) => put(semconv::USER_HASH, Some(user_hash(&key, &name))),
                        // A new key after each start would turn one user into many.
                        Err(error) => {
                            tracing::error!(
                                "failed to load or store the key of the user hash: {error:#}; the user is not identified"
                            );
                        }
                    }
                }
                UserPolicy::None => {}
            }
        }
        for (key, value) in &settings.attributes {
            put(key, Some(value.expand_env()));
        }
        Self(attributes)
    }

    /// Returns the value of an attribute; empty if it is not set.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.iter().find(|(of, _)| *of == key).map_or("", |(_, value)| value)
    }

    /// Returns the attributes, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Converts to the resource of the OpenTelemetry SDK.
    #[must_use]
    pub fn to_sdk(&self) -> SdkResource {
        let attributes = self.0.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        SdkResource::builder_empty().with_schema_url(attributes, SCHEMA_URL).build()
    }

    /// Encodes as `opentelemetry.proto.resource.v1.Resource`.
    #[must_use]
    pub fn to_protobuf(&self) -> Vec<u8> {
        let attributes = self.0.iter().map(|(key, value)| ProtoKeyValue {
            key: key.clone(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.clone())) }),
            ..ProtoKeyValue::default()
        });
        ProtoResource { attributes: attributes.collect(), ..ProtoResource::default() }.encode_to_vec()
    }
}

/// Returns `host.arch` as defined by the semantic conventions.
fn host_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn user_name() -> Option<String> {
    whoami::username().ok()
}

/// Returns the first 128 bits of the HMAC-SHA256 of the name, in hexadecimal. The name is converted
/// to lower case first, because Windows user names are not case-sensitive.
fn user_hash(key: &[u8], name: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), name.to_lowercase().as_bytes());
    tag.as_ref().first_chunk().map(|first| format!("{:032x}", u128::from_be_bytes(*first))).unwrap_or_default()
}

/// Returns this installation's own key, creating it at the first call.
fn installation_key(file: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(file) {
        Ok(key) if key.len() >= 16 => Ok(key),
        Ok(_) => new_key(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_key(file),
        Err(error) => Err(error),
    }
}

fn new_key(file: &Path) -> io::Result<Vec<u8>> {
    let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    write_atomically(file, &key)?;
    Ok(key)
}

/// Identifies a session of the user: the boot time, and the session number of the operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SessionIdentity {
    boot_unix_secs: u64,
    system_session: String,
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    id: String,
    #[serde(flatten)]
    identity: SessionIdentity,
}

impl SessionIdentity {
    fn now() -> Self {
        Self { boot_unix_secs: sysinfo::System::boot_time().unwrap_or_default(), system_session: platform::session() }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.system_session == other.system_session
            && self.boot_unix_secs.abs_diff(other.boot_unix_secs) <= BOOT_TIME_TOLERANCE_SECS
    }
}

/// Returns the session id: the stored one if it belongs to this session, otherwise a new one, which
/// is stored.
fn session_id(file: &Path, identity: &SessionIdentity) -> String {
    let stored = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<StoredSession>(&bytes).ok());
    if let Some(stored) = stored.filter(|stored| stored.identity.is_same(identity)) {
        return stored.id;
    }
    let session = StoredSession { id: Uuid::new_v4().to_string(), identity: identity.clone() };
    let stored = serde_json::to_vec(&session).map_err(io::Error::from).and_then(|json| write_atomically(file, &json));
    if let Err(error) = stored {
        // A full disk must not prevent the agent from starting.
        tracing::warn!("failed to store the session id: {error:#}; it will change when the agent restarts");
    }
    session.id
}

#[cfg(unix)]
mod platform {
    /// systemd's machine id (machine-id(5)), which the semantic conventions define as `host.id` of
    /// a machine that is not in a cloud.
    pub(super) fn machine_id() -> Option<String> {
        let id = std::fs::read_to_string("/etc/machine-id").ok()?;
        Some(id.trim().to_owned())
    }

    /// The session number of logind, if there is one.
    pub(super) fn session() -> String {
        std::env::var("XDG_SESSION_ID").unwrap_or_default()
    }
}

#[cfg(windows)]
mod platform {
    use windows::Win32::System::RemoteDesktop::ProcessIdToSessionId;

    /// `MachineGuid`, which the semantic conventions define as `host.id` on Windows.
    pub(super) fn machine_id() -> Option<String> {
        let key = windows_registry::LOCAL_MACHINE.open(r"SOFTWARE\Microsoft\Cryptography").ok()?;
        key.get_string("MachineGuid").ok()
    }

    /// Number of the Remote Desktop Services session; the console has one too.
    #[allow(unsafe_code)]
    pub(super) fn session() -> String {
        let mut session = 0u32;
        // SAFETY: `session` lives through the call.
        match unsafe { ProcessIdToSessionId(std::process::id(), &raw mut session) } {
            Ok(()) => session.to_string(),
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
