//! Whose machine, user and session it is: attributes that are added to each resource of a request.
//!
//! Nothing is changed or taken away. A request is walked field by field on protobuf's wire (Protocol Buffers, "Encoding"),
//! down to the attributes of its resources, and everything else is copied as it is: fields that this program does not know
//! too. All three requests are alike here: field 1 is a resource with what is of it, whose field 1 is the resource itself,
//! whose field 1 is an attribute.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as Known;
use opentelemetry_semantic_conventions::attribute::{DEPLOYMENT_ENVIRONMENT_NAME, HOST_NAME};
use prost::encoding::{decode_varint, encode_varint};
use prost::{DecodeError, Message};

use crate::resource::Resource;
use crate::signals::logs::ENV_REGION;

/// The field of interest in each message of the three.
const FIELD: u32 = 1;
/// Its tag: number and wire type 2 (length and bytes).
const TAG: u64 = ((FIELD as u64) << 3) | 2;
/// Attributes that say what sends, not where it runs.
const OF_THE_SENDER: [&str; 3] = ["service.", "telemetry.", "process."];

/// Why a request cannot be walked.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A part of it.
    #[error("a field is longer than its message, or of a kind that does not exist")]
    Field,
    /// A resource.
    #[error(transparent)]
    Message(#[from] DecodeError),
}

/// The attributes to add.
#[derive(Debug)]
pub struct Enrichment(Vec<(String, String)>);

impl Enrichment {
    /// What of this resource is true of everything on its machine.
    #[must_use]
    pub fn new(resource: &Resource) -> Self {
        let is_common = |key: &str| !OF_THE_SENDER.iter().any(|prefix| key.starts_with(prefix));
        let common = resource.iter().filter(|(key, _)| is_common(key));
        Self::of(common.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// These attributes.
    #[must_use]
    pub const fn of(attributes: Vec<(String, String)>) -> Self {
        Self(attributes)
    }

    /// A request with the attributes in each of its resources that these do not have.
    ///
    /// # Errors
    /// When it is not protobuf, or a resource is none.
    pub fn apply(&self, request: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::with_capacity(request.len() + 1024);
        for field in Fields(request) {
            match field? {
                Field { number: FIELD, content: Some(of_resource), .. } => {
                    put(&mut out, &self.with_resource(of_resource)?);
                }
                other => out.extend_from_slice(other.whole),
            }
        }
        Ok(out)
    }

    fn with_resource(&self, of_resource: &[u8]) -> Result<Vec<u8>, WireError> {
        // Protobuf allows a field to come in pieces, which belong together.
        let mut resource = Vec::new();
        let mut rest = Vec::with_capacity(of_resource.len());
        for field in Fields(of_resource) {
            match field? {
                Field { number: FIELD, content: Some(piece), .. } => resource.extend_from_slice(piece),
                other => rest.extend_from_slice(other.whole),
            }
        }
        let known = Known::decode(resource.as_slice())?;
        for (key, value) in self.missing(&known) {
            let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
            let attribute = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
            put(&mut resource, &attribute.encode_to_vec());
        }
        let mut out = Vec::with_capacity(of_resource.len() + 1024);
        put(&mut out, &resource);
        out.extend_from_slice(&rest);
        Ok(out)
    }

    /// What a resource does not say yet: first in its own words, where io.Insights has its own keys for what the
    /// semantic conventions name, then in the agent's.
    fn missing<'a>(&'a self, resource: &'a Known) -> Vec<(&'a str, String)> {
        let own = |key: &str| resource.attributes.iter().find(|attribute| attribute.key == key);
        let said = |key: &str| match own(key)?.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let env_region = said("env").zip(said("region")).map(|(env, region)| format!("{env}-{region}"));
        let mapped = [
            (HOST_NAME, said("machine").map(str::to_owned)),
            (DEPLOYMENT_ENVIRONMENT_NAME, said("env").map(str::to_owned)),
            (ENV_REGION, env_region),
        ];
        let mut out: Vec<(&str, String)> = mapped.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        for (key, value) in &self.0 {
            if !out.iter().any(|(there, _)| there == key) {
                out.push((key, value.clone()));
            }
        }
        out.retain(|(key, _)| own(key).is_none());
        out
    }
}

fn put(out: &mut Vec<u8>, content: &[u8]) {
    encode_varint(TAG, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// A field on the wire.
struct Field<'a> {
    number: u32,
    /// With its tag.
    whole: &'a [u8],
    /// What is in it, if it has a length.
    content: Option<&'a [u8]>,
}

/// The fields of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.0;
        let tag = decode_varint(&mut self.0)?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Field)?;
        let mut content = None;
        match tag & 7 {
            0 => {
                decode_varint(&mut self.0)?;
            }
            1 => {
                self.take(8)?;
            }
            2 => {
                let length = decode_varint(&mut self.0)?;
                content = Some(self.take(length)?);
            }
            5 => {
                self.take(4)?;
            }
            // Groups are from before proto3.
            _ => return Err(WireError::Field),
        }
        let whole = start.get(..start.len() - self.0.len()).unwrap_or_default();
        Ok(Field { number, whole, content })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Field)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Field)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            // What follows cannot be told apart.
            self.0 = &[];
        }
        Some(field)
    }
}
