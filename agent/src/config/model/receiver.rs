//! Settings of the local OTLP receiver.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{OriginPattern, Period, Ratio, Secret};

/// The local OTLP receiver, for telemetry that the platform and its apps send themselves. It
/// listens on the addresses of this machine only (`127.0.0.1` and `::1`). Both ports accept gRPC
/// and HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverSettings {
    /// Enables the local OTLP receiver.
    pub enabled: bool,
    /// Port for OTLP/gRPC. If the port is busy, or set to 0, the agent picks a free port and writes
    /// it to `receiver.json` in the data folder.
    pub grpc_port: u16,
    /// Port for OTLP/HTTP. If the port is busy, or set to 0, the agent picks a free port and writes
    /// it to `receiver.json` in the data folder.
    pub http_port: u16,
    /// Web origins that may send, for example `https://*.example.com`: a scheme, a host in which
    /// `*` matches any characters, and optionally a port, or `*` for any port. `null` is the origin
    /// of pages opened from files. Web pages of other origins are rejected; programs other than
    /// browsers have no origin and are not affected.
    #[schemars(extend("example" = ["https://*.example.com"]))]
    pub allowed_origins: Vec<OriginPattern>,
    /// Token that every sender must present, web pages included: `authorization: Bearer <token>`.
    /// If unset, no token is needed.
    #[schemars(extend("example" = "0f6c-not-a-real-token"))]
    pub token: Option<Secret>,
    /// Attributes of spans and span events whose text is redacted by the rules of `logs.redaction`.
    /// `*` matches any characters. Log records are not affected by this setting: all their
    /// attributes are redacted.
    #[schemars(extend("example" = ["args.*", "url"]))]
    pub redacted_attributes: Vec<String>,
    /// Metrics computed from received spans.
    pub request_views: RequestViewSettings,
    /// Sampling of received traces.
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

/// Metrics computed from received spans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestViewSettings {
    /// Computes metrics from received spans: the number, duration and failures of operations by
    /// app, span name and backend (docs/signals.md, `ioconnect.request.duration`).
    #[schemars(extend("example" = true))]
    pub enabled: bool,
    /// Names of the spans to include in these metrics. `*` matches any characters.
    #[schemars(extend("example" = ["interopio.api.*"]))]
    pub spans: Vec<String>,
}

impl Default for RequestViewSettings {
    fn default() -> Self {
        Self { enabled: false, spans: vec!["*".to_owned()] }
    }
}

/// Sampling of received traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingSettings {
    /// Share of the received traces that is forwarded; 1.0 forwards all. The choice depends on the
    /// trace id only, so all agents choose the same traces. Spans of a trace that arrive in the
    /// same request are kept or dropped together. Metrics are computed from all spans, including
    /// dropped ones.
    #[schemars(extend("example" = 0.1))]
    pub ratio: Ratio,
    /// Always forwards traces that contain a failed span.
    pub keep_errors: bool,
    /// Always forwards traces that contain a span of at least this duration. If unset, duration
    /// does not matter.
    #[schemars(extend("example" = "2s"))]
    pub keep_slower_than: Option<Period>,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        Self { ratio: Ratio::constant(1.0), keep_errors: true, keep_slower_than: None }
    }
}
