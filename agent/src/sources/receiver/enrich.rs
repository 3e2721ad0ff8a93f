//! Adds the attributes of this machine, user and session to every resource of a request.
//!
//! Existing attributes are neither changed nor removed. The request is walked field by field in
//! protobuf's wire format (Protocol Buffers, "Encoding") down to the attributes of its resources.
//! Everything else is copied as bytes, also fields that this program does not know.
//!
//! The three requests have the same structure here: field 1 of a request is a `ResourceSpans` (or
//! `ResourceMetrics`, `ResourceLogs`), whose field 1 is the resource, whose field 1 is an
//! attribute.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_semantic_conventions::attribute::DEPLOYMENT_ENVIRONMENT_NAME;
use prost::Message;

use crate::otlp::schema::RESOURCE_FIELD;
use crate::otlp::wire::{Field, Fields, WireError, put};
use crate::resource::Resource;
use crate::signals::logs::{APP_NAME, ENV_REGION, INSTANCE_ID};

/// Prefixes of the agent's own attributes that describe the agent, not its machine.
const SENDER_PREFIXES: [&str; 3] = ["service.", "telemetry.", "process."];
/// Expected growth of a resource, for the capacity of buffers.
const EXPECTED_GROWTH_BYTES: usize = 1024;

/// The attributes to add.
#[derive(Debug)]
pub struct Enrichment(Vec<(String, String)>);

impl Enrichment {
    /// Takes those attributes of the agent's resource that are true of every program on its
    /// machine.
    #[must_use]
    pub fn new(resource: &Resource) -> Self {
        let is_common = |key: &str| !SENDER_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        let common = resource.iter().filter(|(key, _)| is_common(key));
        Self::from_attributes(common.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Creates an enrichment that adds these attributes.
    #[must_use]
    pub const fn from_attributes(attributes: Vec<(String, String)>) -> Self {
        Self(attributes)
    }

    /// Returns by how many bytes each resource grows at most, without the mapped attributes of
    /// io.Insights.
    pub(super) fn max_added_bytes(&self) -> usize {
        /// Tags and lengths of an attribute.
        const OVERHEAD: usize = 16;
        self.0.iter().map(|(key, value)| key.len() + value.len() + OVERHEAD).sum()
    }

    /// Returns a request with the attributes added to each resource that does not have them.
    ///
    /// # Errors
    /// When the request is not protobuf, or a resource cannot be decoded.
    pub fn apply(&self, request: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::with_capacity(request.len() + EXPECTED_GROWTH_BYTES);
        for field in Fields(request) {
            match field? {
                Field { number: RESOURCE_FIELD, content: Some(of_resource), .. } => {
                    put(RESOURCE_FIELD, &self.enrich_resource(of_resource)?, &mut out);
                }
                other => out.extend_from_slice(other.whole),
            }
        }
        Ok(out)
    }

    /// Enriches the resource in a `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`.
    fn enrich_resource(&self, of_resource: &[u8]) -> Result<Vec<u8>, WireError> {
        // Protobuf allows a message field to occur several times; a decoder merges the pieces.
        let mut resource = Vec::new();
        let mut rest = Vec::with_capacity(of_resource.len());
        for field in Fields(of_resource) {
            match field? {
                Field { number: RESOURCE_FIELD, content: Some(piece), .. } => resource.extend_from_slice(piece),
                other => rest.extend_from_slice(other.whole),
            }
        }
        let decoded = ProtoResource::decode(resource.as_slice())?;
        for (key, value) in self.missing_attributes(&decoded) {
            let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
            let attribute = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
            put(RESOURCE_FIELD, &attribute.encode_to_vec(), &mut resource);
        }
        let mut out = Vec::with_capacity(of_resource.len() + EXPECTED_GROWTH_BYTES);
        put(RESOURCE_FIELD, &resource, &mut out);
        out.extend_from_slice(&rest);
        Ok(out)
    }

    /// Returns the attributes that a resource does not have. io.Insights uses its own keys for some
    /// of them: their values take precedence over those of the agent.
    fn missing_attributes<'a>(&'a self, resource: &'a ProtoResource) -> Vec<(&'a str, String)> {
        let existing = |key: &str| resource.attributes.iter().find(|attribute| attribute.key == key);
        let text = |key: &str| match existing(key)?.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let env_region = text("env").zip(text("region")).map(|(env, region)| format!("{env}-{region}"));
        // `machine` is not mapped: data that arrives over loopback is from this machine, whose name
        // is spelled the same way in all data.
        let mapped = [
            (DEPLOYMENT_ENVIRONMENT_NAME, text("env").map(str::to_owned)),
            (ENV_REGION, env_region),
            (APP_NAME, text("tracingAppName").map(str::to_owned)),
            (INSTANCE_ID, text("tracingAppInstanceId").map(str::to_owned)),
        ];
        let mut out: Vec<(&str, String)> = mapped.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        for (key, value) in &self.0 {
            if !out.iter().any(|(added, _)| added == key) {
                out.push((key, value.clone()));
            }
        }
        out.retain(|(key, _)| existing(key).is_none());
        out
    }
}
