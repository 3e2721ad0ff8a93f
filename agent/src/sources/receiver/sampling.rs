//! Trace sampling: keeps a share of all traces, and every trace with a failed or slow span.
//!
//! The share is chosen by the last seven bytes of the trace id, as in OpenTelemetry's consistent
//! probability sampling ("Probability Sampling", section "Rejection Threshold"): every agent and
//! every request chooses the same traces. Failed and slow spans are known for one request only, so
//! spans of such a trace that arrive in another request may be dropped.

use std::collections::HashSet;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::span_metrics::is_error;
use crate::config::{Period, SamplingSettings};

/// Number of different values of seven bytes.
const RANDOM_VALUES: f64 = (1_u64 << 56) as f64;

/// Drops spans by the sampling settings.
#[derive(Debug)]
pub(super) struct Sampler {
    ratio: f64,
    keep_errors: bool,
    keep_slower_than: Option<Duration>,
}

impl Sampler {
    /// Creates a sampler; none if the settings keep every trace.
    pub(super) fn new(settings: &SamplingSettings) -> Option<Self> {
        let ratio = settings.ratio.get();
        (ratio < 1.0).then(|| Self {
            ratio,
            keep_errors: settings.keep_errors,
            keep_slower_than: settings.keep_slower_than.map(Period::get),
        })
    }

    /// Drops spans from a request, and returns how many.
    pub(super) fn sample(&self, request: &mut ExportTraceServiceRequest) -> u64 {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let kept: HashSet<Vec<u8>> = scopes
            .flat_map(|scope| &scope.spans)
            .filter(|span| self.is_sampled(&span.trace_id) || self.is_always_kept(span))
            .map(|span| span.trace_id.clone())
            .collect();
        let mut dropped = 0;
        for resource_spans in &mut request.resource_spans {
            for scope_spans in &mut resource_spans.scope_spans {
                let before = scope_spans.spans.len();
                scope_spans.spans.retain(|span| kept.contains(&span.trace_id));
                dropped += (before - scope_spans.spans.len()) as u64;
            }
            resource_spans.scope_spans.retain(|scope_spans| !scope_spans.spans.is_empty());
        }
        request.resource_spans.retain(|resource_spans| !resource_spans.scope_spans.is_empty());
        dropped
    }

    fn is_sampled(&self, trace_id: &[u8]) -> bool {
        let last = trace_id.last_chunk::<7>().copied().unwrap_or_default();
        let random = last.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        random as f64 >= (1.0 - self.ratio) * RANDOM_VALUES
    }

    fn is_always_kept(&self, span: &Span) -> bool {
        let duration = Duration::from_nanos(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano));
        (self.keep_errors && is_error(span)) || self.keep_slower_than.is_some_and(|limit| duration >= limit)
    }
}
