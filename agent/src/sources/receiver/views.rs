//! Metrics from passing spans: which actions fail, and for whom; whether backends answer alike; whether something is called too
//! often. They are made before sampling, so they are true of all spans.

use opentelemetry::KeyValue as Label;
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_semantic_conventions::attribute::{SERVER_ADDRESS, SERVICE_NAME, URL_FULL};
use url::Url;

use crate::config::RequestViewSettings;
use crate::glob;
use crate::signals::metrics::{self, APP_NAME, REQUEST_DURATION, REQUEST_NAME, REQUEST_STATUS};

/// Where io.Insights says which app a span is of, in the span or its resource.
const CONNECT_APP: &str = "tracingAppName";
/// Where a span has its address: as the semantic conventions have it, as they had it, and as io.Insights' spans of requests.
const ADDRESSES: [&str; 3] = [URL_FULL, "http.url", "url"];
/// Longest text of a label, in characters.
const LONGEST: usize = 200;

/// Makes the metrics.
#[derive(Debug)]
pub(super) struct Views {
    duration: Histogram<f64>,
    spans: Vec<String>,
}

/// What is counted of a span.
#[derive(Debug)]
pub(super) struct Measurement {
    seconds: f64,
    labels: Vec<Label>,
}

impl Views {
    /// None if they are switched off.
    pub(super) fn new(settings: &RequestViewSettings, provider: &impl MeterProvider) -> Option<Self> {
        let meter = || metrics::meter(provider, metrics::REQUESTS_SCOPE);
        settings.enabled.then(|| Self { duration: REQUEST_DURATION.histogram(&meter()), spans: settings.spans.clone() })
    }

    /// Measures the spans of a request.
    pub(super) fn measure(&self, request: &ExportTraceServiceRequest) -> Vec<Measurement> {
        let mut out = Vec::new();
        for of_resource in &request.resource_spans {
            let resource =
                of_resource.resource.as_ref().map(|resource| resource.attributes.as_slice()).unwrap_or_default();
            for span in of_resource.scope_spans.iter().flat_map(|of_scope| &of_scope.spans) {
                if self.spans.iter().any(|pattern| glob::matches(pattern, &span.name)) {
                    out.push(Measurement { seconds: duration(span), labels: labels(span, resource) });
                }
            }
        }
        out
    }

    /// Counts them, once their request was taken: what is refused comes again.
    pub(super) fn record(&self, measurements: &[Measurement]) {
        for measurement in measurements {
            self.duration.record(measurement.seconds, &measurement.labels);
        }
    }
}

/// Seconds from its start to its end.
fn duration(span: &Span) -> f64 {
    span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as f64 / 1e9
}

fn labels(span: &Span, resource: &[KeyValue]) -> Vec<Label> {
    let short = |text: &str| text.chars().take(LONGEST).collect::<String>();
    let app = [(&*span.attributes, CONNECT_APP), (resource, CONNECT_APP), (resource, SERVICE_NAME)];
    let app = app.into_iter().find_map(|(attributes, key)| text(attributes, key)).unwrap_or_default();
    let status = if is_error(span) { "ERROR" } else { "OK" };
    let mut labels = vec![
        Label::new(APP_NAME.name, short(app)),
        Label::new(REQUEST_NAME.name, short(&span.name)),
        Label::new(REQUEST_STATUS.name, status),
    ];
    labels.extend(backend(span).map(|host| Label::new(SERVER_ADDRESS, short(&host))));
    labels
}

/// Whether a span failed.
pub(super) fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// The host that was asked, if the span says so.
fn backend(span: &Span) -> Option<String> {
    if let Some(address) = text(&span.attributes, SERVER_ADDRESS) {
        return Some(address.to_owned());
    }
    let address = ADDRESSES.iter().find_map(|key| text(&span.attributes, key))?;
    Url::parse(address).ok()?.host_str().map(str::to_owned)
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
