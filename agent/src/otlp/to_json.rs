//! Writes requests and reads responses of OTLP/HTTP with JSON (OTLP specification, section "JSON
//! Protobuf Encoding").

use std::io::{Error, ErrorKind};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::otlp::Signal;

/// Converts a request from protobuf to JSON.
///
/// # Errors
/// When the bytes are not a request of this signal.
pub(crate) fn request(signal: Signal, protobuf: &[u8]) -> std::io::Result<Vec<u8>> {
    match signal {
        Signal::Metrics => transcode::<ExportMetricsServiceRequest>(protobuf),
        Signal::Traces => transcode::<ExportTraceServiceRequest>(protobuf),
        Signal::Logs => transcode::<ExportLogsServiceRequest>(protobuf),
    }
}

fn transcode<T: Message + Default + Serialize>(protobuf: &[u8]) -> std::io::Result<Vec<u8>> {
    let request = T::decode(protobuf).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
    serde_json::to_vec(&request).map_err(Error::from)
}

/// Returns the number of rejected items in a response, and the reason. The responses of the three
/// signals differ only in the name of the number.
pub(crate) fn partial_success(response: &[u8]) -> (u64, String) {
    #[derive(Default, Deserialize)]
    struct Response {
        #[serde(rename = "partialSuccess", default)]
        partial: serde_json::Map<String, Value>,
    }
    let Response { partial } = serde_json::from_slice(response).unwrap_or_default();
    // ProtoJSON writes 64-bit integers as strings, and accepts strings and numbers.
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let rejected = partial.iter().filter(|(key, _)| key.starts_with("rejected")).find_map(|(_, value)| number(value));
    let message = partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
    (rejected.unwrap_or_default(), message.to_owned())
}
