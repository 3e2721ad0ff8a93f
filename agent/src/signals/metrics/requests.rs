//! Metrics derived from the spans of the platform and its apps.

use opentelemetry_semantic_conventions::attribute;

use super::usage::APP_NAME;
use super::{Instrument, Metric};
use crate::signals::Attribute;

/// Instrumentation scope of request metrics.
pub const REQUESTS_SCOPE: &str = "insights-agent.requests";

/// Maximum number of attribute combinations. Further combinations are counted together, with the
/// attribute `otel.metric.overflow` (OpenTelemetry, "Metrics SDK", section "Overflow attribute").
pub const MAX_REQUEST_SERIES: usize = 500;

/// Attribute: name of a request.
pub const REQUEST_NAME: Attribute = Attribute {
    name: "ioconnect.request.name",
    description: "Name of the span, for example `interopio.api.interop.invoke`.",
};
/// Attribute: whether a request failed.
pub const REQUEST_STATUS: Attribute = Attribute {
    name: attribute::OTEL_STATUS_CODE,
    description: "`ERROR` if the span reports an error, otherwise `OK`.",
};
/// Attribute: host that a request was sent to.
pub const REQUEST_BACKEND: Attribute = Attribute {
    name: attribute::SERVER_ADDRESS,
    description: "Host that the request was sent to, from `server.address` of the span or else \
                  from its `url.full`, `http.url` or `url`. Not set if the span has none of them.",
};

/// Bounds of request durations, as for `http.client.request.duration` in the semantic conventions.
const REQUEST_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

metric_table! {
    /// Every metric of this file.
    REQUESTS:

    /// Durations of requests.
    pub const REQUEST_DURATION = Metric {
        name: "ioconnect.request.duration",
        unit: "s",
        instrument: Instrument::Histogram(REQUEST_BOUNDS),
        description: "Duration of requests of the platform and its apps, from the spans that they \
                  send. Only with `receiver.request_views`. The app is `tracingAppName` of the \
                  span or its resource, otherwise `service.name`. Beyond 500 attribute \
                  combinations, further ones are counted together under `otel.metric.overflow`.",
        attributes: &[APP_NAME, REQUEST_NAME, REQUEST_STATUS, REQUEST_BACKEND],
        scope: REQUESTS_SCOPE,
    };
}
