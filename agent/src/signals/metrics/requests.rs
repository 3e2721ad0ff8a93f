//! Metrics that are made from the spans of the platform and its apps.

use opentelemetry_semantic_conventions::attribute;

use super::usage::APP_NAME;
use super::{Instrument, Metric};
use crate::signals::Attribute;

/// Instrumentation scope of the metrics of requests.
pub const REQUESTS_SCOPE: &str = "insights-agent.requests";

/// Most combinations of attributes: what comes beyond is counted together, with the attribute `otel.metric.overflow`
/// (OpenTelemetry, "Metrics SDK", section "Overflow attribute").
pub const MOST_REQUESTS: usize = 500;

/// Attribute: what was done.
pub const REQUEST_NAME: Attribute =
    Attribute { name: "ioconnect.request.name", meaning: "Name of the span, as in `interopio.api.interop.invoke`." };
/// Attribute: whether it failed.
pub const REQUEST_STATUS: Attribute =
    Attribute { name: attribute::OTEL_STATUS_CODE, meaning: "`ERROR` if the span says that it failed, else `OK`." };
/// Attribute: who was asked.
pub const REQUEST_BACKEND: Attribute = Attribute {
    name: attribute::SERVER_ADDRESS,
    meaning: "Host that was asked, from the span's `server.address`, else from its `url.full`, `http.url` or `url`. Not there \
              if it has none of them.",
};

/// Bounds for requests: from what nobody notices to what nobody waits for. Those of `http.client.request.duration`.
const REQUEST_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Requests.
pub const REQUEST_DURATION: Metric = Metric {
    name: "ioconnect.request.duration",
    unit: "s",
    instrument: Instrument::Histogram(REQUEST_BOUNDS),
    description: "How long what the platform and its apps did took, by the spans that they sent. Only with \
                  `receiver.request_views`. The app is the span's or its resource's `tracingAppName`, else `service.name`. With \
                  more than 500 combinations of attributes the rest is counted together, under `otel.metric.overflow`.",
    attributes: &[APP_NAME, REQUEST_NAME, REQUEST_STATUS, REQUEST_BACKEND],
    scope: REQUESTS_SCOPE,
};
