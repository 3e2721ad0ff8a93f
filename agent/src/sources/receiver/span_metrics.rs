//! Metrics derived from received spans: which actions fail and for whom, whether backends answer
//! equally fast, and whether something is called too often.
//!
//! Spans are measured before sampling, so the metrics count all of them.

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

/// Attribute in which io.Insights names the app, on a span or its resource.
const IO_INSIGHTS_APP_NAME: &str = "tracingAppName";
/// Attributes that may hold the address of a request: of the current semantic conventions, of their
/// predecessors, and of the request spans of io.Insights.
const URL_ATTRIBUTES: [&str; 3] = [URL_FULL, "http.url", "url"];
/// Maximum length of a label in characters.
const MAX_LABEL_CHARS: usize = 200;

/// Records the duration of spans.
#[derive(Debug)]
pub(super) struct SpanMetrics {
    duration: Histogram<f64>,
    /// Patterns for the names of the spans to measure.
    spans: Vec<String>,
}

/// The duration and labels of one span.
#[derive(Debug)]
pub(super) struct Measurement {
    seconds: f64,
    labels: Vec<Label>,
}

impl SpanMetrics {
    /// Creates the metrics; none if they are turned off.
    pub(super) fn new(settings: &RequestViewSettings, provider: &impl MeterProvider) -> Option<Self> {
        let meter = || metrics::meter(provider, metrics::REQUESTS_SCOPE);
        settings.enabled.then(|| Self { duration: REQUEST_DURATION.histogram(&meter()), spans: settings.spans.clone() })
    }

    /// Measures the spans of a request.
    pub(super) fn measure(&self, request: &ExportTraceServiceRequest) -> Vec<Measurement> {
        let mut measurements = Vec::new();
        for resource_spans in &request.resource_spans {
            let resource =
                resource_spans.resource.as_ref().map(|resource| resource.attributes.as_slice()).unwrap_or_default();
            for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
                if self.spans.iter().any(|pattern| glob::matches(pattern, &span.name)) {
                    measurements.push(Measurement { seconds: seconds(span), labels: labels(span, resource) });
                }
            }
        }
        measurements
    }

    /// Records the measurements of an accepted request. Those of a rejected request are discarded,
    /// because the sender sends it again.
    pub(super) fn record(&self, measurements: &[Measurement]) {
        for measurement in measurements {
            self.duration.record(measurement.seconds, &measurement.labels);
        }
    }
}

/// Returns whether a span failed.
pub(super) fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

fn seconds(span: &Span) -> f64 {
    span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) as f64 / 1e9
}

fn labels(span: &Span, resource: &[KeyValue]) -> Vec<Label> {
    let shorten = |text: &str| text.chars().take(MAX_LABEL_CHARS).collect::<String>();
    let app = [(&*span.attributes, IO_INSIGHTS_APP_NAME), (resource, IO_INSIGHTS_APP_NAME), (resource, SERVICE_NAME)];
    let app = app.into_iter().find_map(|(attributes, key)| find_text(attributes, key)).unwrap_or_default();
    let status = if is_error(span) { "ERROR" } else { "OK" };
    let mut labels = vec![
        Label::new(APP_NAME.name, shorten(app)),
        Label::new(REQUEST_NAME.name, shorten(&span.name)),
        Label::new(REQUEST_STATUS.name, status),
    ];
    labels.extend(backend(span).map(|host| Label::new(SERVER_ADDRESS, shorten(&host))));
    labels
}

/// Returns the host that the request went to, if the span names it.
fn backend(span: &Span) -> Option<String> {
    if let Some(address) = find_text(&span.attributes, SERVER_ADDRESS) {
        return Some(address.to_owned());
    }
    let address = URL_ATTRIBUTES.iter().find_map(|key| find_text(&span.attributes, key))?;
    Url::parse(address).ok()?.host_str().map(str::to_owned)
}

/// Returns the text of an attribute, unless it is empty.
fn find_text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
