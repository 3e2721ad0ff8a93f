//! Requests and answers of OTLP/HTTP with JSON (OTLP specification, section "JSON Protobuf Encoding").

use std::io::{Error, ErrorKind};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::otlp::Signal;

/// A request in JSON.
pub(crate) fn request(signal: Signal, protobuf: &[u8]) -> std::io::Result<Vec<u8>> {
    match signal {
        Signal::Metrics => transcoded::<ExportMetricsServiceRequest>(protobuf),
        Signal::Traces => transcoded::<ExportTraceServiceRequest>(protobuf),
        Signal::Logs => transcoded::<ExportLogsServiceRequest>(protobuf),
    }
}

fn transcoded<T: Message + Default + Serialize>(protobuf: &[u8]) -> std::io::Result<Vec<u8>> {
    let request = T::decode(protobuf).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
    serde_json::to_vec(&request).map_err(Error::from)
}

/// What was not taken, and why, of an answer: all three are alike but for the name of the count.
pub(crate) fn partial_success(answer: &[u8]) -> (u64, String) {
    #[derive(Default, Deserialize)]
    struct Answer {
        #[serde(rename = "partialSuccess", default)]
        partial: serde_json::Map<String, Value>,
    }
    let Answer { partial } = serde_json::from_slice(answer).unwrap_or_default();
    // Proto3's JSON writes 64 bits as a text, and reads both.
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let rejected = partial.iter().filter(|(key, _)| key.starts_with("rejected")).find_map(|(_, value)| number(value));
    let message = partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
    (rejected.unwrap_or_default(), message.to_owned())
}
