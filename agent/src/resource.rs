//! The resource: what every signal says of its origin, the same on metrics, traces and logs, so that a spike in a
//! metric leads to the logs of that machine, user and session.
//!
//! Invariant: made once, at the start; `session.id` outlives a restart of the agent, not of the user's session.

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
/// `schema_url` of what the agent makes itself: the version of the conventions that its names come from.
pub const SCHEMA_URL: &str = opentelemetry_semantic_conventions::SCHEMA_URL;
/// Two readings of the boot time differ by this at most: it is derived from the clock, which is corrected now and then.
const BOOT_TIME_TOLERANCE_SECS: u64 = 120;

/// Attributes of the resource, by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource(BTreeMap<String, String>);

impl Resource {
    /// Looks at this machine, user and session. The company's attributes win over what is found.
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
        put(semconv::SESSION_ID, Some(session_id(&data.session(), &SessionMark::now())));
        put(semconv::DEPLOYMENT_ENVIRONMENT_NAME, settings.environment.as_ref().map(Template::expand_env));
        if let Some(name) = user_name() {
            match settings.user {
                UserPolicy::Name => put(semconv::USER_NAME, Some(name)),
                UserPolicy::Hash => {
                    let key = match &settings.user_hash_key {
                        Some(key) => Ok(key.reveal().as_bytes().to_vec()),
                        None => own_key(&data.user_hash_key()),
                    };
                    match key {
                        Ok(key) => put(semconv::USER_HASH, Some(user_hash(&key, &name))),
                        // A key that is another one after each start would make many users of one.
                        Err(error) => {
                            tracing::error!(%error, "the key of the user's hash cannot be kept; none is sent");
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

    /// The value of an attribute; empty if it has none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.iter().find(|(of, _)| *of == key).map_or("", |(_, value)| value)
    }

    /// The attributes, in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// For the OpenTelemetry SDK.
    #[must_use]
    pub fn to_sdk(&self) -> SdkResource {
        let attributes = self.0.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        SdkResource::builder_empty().with_schema_url(attributes, SCHEMA_URL).build()
    }

    /// Encoded as `opentelemetry.proto.resource.v1.Resource`.
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

/// `host.arch` as the semantic conventions write it.
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

/// The first 128 bits of the name's HMAC-SHA256, in hexadecimal. Windows does not tell `Anna` from `anna`, so the hash
/// does not either.
fn user_hash(key: &[u8], name: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), name.to_lowercase().as_bytes());
    tag.as_ref().first_chunk().map(|first| format!("{:032x}", u128::from_be_bytes(*first))).unwrap_or_default()
}

/// This installation's own key, made at the first call.
fn own_key(file: &Path) -> io::Result<Vec<u8>> {
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

/// What tells one session of a user from the next: the boot, and the system's own number of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SessionMark {
    boot_unix_secs: u64,
    system_session: String,
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    id: String,
    #[serde(flatten)]
    mark: SessionMark,
}

impl SessionMark {
    fn now() -> Self {
        Self { boot_unix_secs: sysinfo::System::boot_time().unwrap_or_default(), system_session: platform::session() }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.system_session == other.system_session
            && self.boot_unix_secs.abs_diff(other.boot_unix_secs) <= BOOT_TIME_TOLERANCE_SECS
    }
}

/// The identifier of the session: the kept one if it is of this session, else a new one, which is kept.
fn session_id(file: &Path, mark: &SessionMark) -> String {
    let stored = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<StoredSession>(&bytes).ok());
    if let Some(stored) = stored.filter(|stored| stored.mark.is_same(mark)) {
        return stored.id;
    }
    let session = StoredSession { id: Uuid::new_v4().to_string(), mark: mark.clone() };
    let kept = serde_json::to_vec(&session).map_err(io::Error::from).and_then(|json| write_atomically(file, &json));
    if let Err(error) = kept {
        // A full disk does not keep the agent from starting.
        tracing::warn!(%error, "the identifier of the session could not be kept; it ends with the agent");
    }
    session.id
}

#[cfg(unix)]
mod platform {
    /// systemd's machine id (machine-id(5)), which the semantic conventions name as `host.id` of a machine that is not
    /// in a cloud.
    pub(super) fn machine_id() -> Option<String> {
        let id = std::fs::read_to_string("/etc/machine-id").ok()?;
        Some(id.trim().to_owned())
    }

    /// logind's number of the session, if there is one.
    pub(super) fn session() -> String {
        std::env::var("XDG_SESSION_ID").unwrap_or_default()
    }
}

#[cfg(windows)]
mod platform {
    use windows::Win32::System::RemoteDesktop::ProcessIdToSessionId;

    /// `MachineGuid`, which the semantic conventions name as `host.id` on Windows.
    pub(super) fn machine_id() -> Option<String> {
        let key = windows_registry::LOCAL_MACHINE.open(r"SOFTWARE\Microsoft\Cryptography").ok()?;
        key.get_string("MachineGuid").ok()
    }

    /// Number of the Remote Desktop Services session, which is also that of the console.
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
