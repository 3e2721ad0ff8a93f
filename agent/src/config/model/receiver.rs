//! What is taken of the platform and its apps, and what becomes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{OriginPattern, Period, Ratio, Secret};

/// What the platform and its apps send by themselves: OTLP, to this machine's own addresses (`127.0.0.1` and `::1`). Both
/// ports take gRPC and HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverSettings {
    /// Whether it is taken.
    pub enabled: bool,
    /// Port of OTLP/gRPC. 0, or if it is taken: a free one, which `receiver.json` in the data folder names.
    pub grpc_port: u16,
    /// Port of OTLP/HTTP, in the same way.
    pub http_port: u16,
    /// Origins of the web pages that may send, for example `https://*.example.com`: a scheme and a host, in which `*` stands for
    /// any characters, and a port, for which `*` stands too. `null` is the origin of pages from files. Others are refused;
    /// programs that are no browsers have none.
    pub allowed_origins: Vec<OriginPattern>,
    /// What everybody has to say to be taken, pages too: `authorization: Bearer` and this token.
    pub token: Option<Secret>,
    /// Names of attributes, in which `*` stands for any characters, of spans and their events whose texts are redacted as those
    /// of log records are, by `logs.redaction`. Of log records it is every attribute, whatever stands here.
    pub redacted_attributes: Vec<String>,
    /// Metrics that are made from passing spans.
    pub request_views: RequestViewSettings,
    /// Which traces are passed on.
    pub sampling: SamplingSettings,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            grpc_port: 4317,
            http_port: 4318,
            allowed_origins: Vec::new(),
            token: None,
            redacted_attributes: Vec::new(),
            request_views: RequestViewSettings::default(),
            sampling: SamplingSettings::default(),
        }
    }
}

/// Metrics that are made from passing spans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestViewSettings {
    /// Whether metrics are made from passing spans: how often something was done, how long it took, whether it failed, by app,
    /// by name of the span and by backend (docs/signals.md, `ioconnect.request.duration`).
    pub enabled: bool,
    /// Names of the spans that count in them, in which `*` stands for any characters.
    pub spans: Vec<String>,
}

impl Default for RequestViewSettings {
    fn default() -> Self {
        Self { enabled: false, spans: vec!["*".to_owned()] }
    }
}

/// Which traces are passed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingSettings {
    /// Share of the traces of the platform and its apps that is passed on, chosen by the trace's id, so that every agent chooses
    /// the same. What a request holds of a trace stays together. Metrics are made from all spans, passed on or not.
    pub ratio: Ratio,
    /// Traces with a span that failed are passed on all the same.
    pub keep_errors: bool,
    /// So are those with a span that took this long.
    pub keep_slower_than: Option<Period>,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self { ratio: Ratio::constant(1.0), keep_errors: true, keep_slower_than: None }
    }
}
