//! Whose machine, user and session it is: attributes that are added to each resource of a request.
//!
//! Nothing is changed or taken away. A request is walked field by field on protobuf's wire (Protocol Buffers, "Encoding"),
//! down to the attributes of its resources, and everything else is copied as it is: fields that this program does not know
//! too. All three requests are alike here: field 1 is a resource with what is of it, whose field 1 is the resource itself,
//! whose field 1 is an attribute.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as Known;
use opentelemetry_semantic_conventions::attribute::DEPLOYMENT_ENVIRONMENT_NAME;
use prost::Message;

use crate::otlp::schema::RESOURCE_FIELD;
use crate::otlp::wire::{Field, Fields, WireError, put};
use crate::resource::Resource;
use crate::signals::logs::{APP_NAME, ENV_REGION, INSTANCE_ID};

/// Attributes that say what sends, not where it runs.
const OF_THE_SENDER: [&str; 3] = ["service.", "telemetry.", "process."];

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

    /// Bytes that it adds to each resource at most, but for what is mapped.
    pub(super) fn size(&self) -> usize {
        /// Tags and lengths of an attribute.
        const AROUND: usize = 16;
        self.0.iter().map(|(key, value)| key.len() + value.len() + AROUND).sum()
    }

    /// A request with the attributes in each of its resources that these do not have.
    ///
    /// # Errors
    /// When it is not protobuf, or a resource is none.
    pub fn apply(&self, request: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::with_capacity(request.len() + 1024);
        for field in Fields(request) {
            match field? {
                Field { number: RESOURCE_FIELD, content: Some(of_resource), .. } => {
                    put(RESOURCE_FIELD, &self.with_resource(of_resource)?, &mut out);
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
                Field { number: RESOURCE_FIELD, content: Some(piece), .. } => resource.extend_from_slice(piece),
                other => rest.extend_from_slice(other.whole),
            }
        }
        let known = Known::decode(resource.as_slice())?;
        for (key, value) in self.missing(&known) {
            let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
            let attribute = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
            put(RESOURCE_FIELD, &attribute.encode_to_vec(), &mut resource);
        }
        let mut out = Vec::with_capacity(of_resource.len() + 1024);
        put(RESOURCE_FIELD, &resource, &mut out);
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
        // Not `machine`: what comes over loopback is of this machine, and its name is written in one way.
        let mapped = [
            (DEPLOYMENT_ENVIRONMENT_NAME, said("env").map(str::to_owned)),
            (ENV_REGION, env_region),
            (APP_NAME, said("tracingAppName").map(str::to_owned)),
            (INSTANCE_ID, said("tracingAppInstanceId").map(str::to_owned)),
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
