//! Which traces are passed on, where a company samples: a share of them, and all in which something failed or was slow.
//!
//! The share is chosen by the last seven bytes of the trace's id, as OpenTelemetry's consistent probability sampling does
//! ("Probability Sampling", section "Rejection Threshold"): every agent, and every request, chooses the same. What
//! failed or was slow is known of one request only, so of such a trace other requests may be missing.

use std::collections::HashSet;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::views::is_error;
use crate::config::{Period, SamplingSettings};

/// How many different values seven bytes have.
const RANDOMNESS: f64 = (1_u64 << 56) as f64;

/// Chooses.
#[derive(Debug)]
pub(super) struct Sampler {
    ratio: f64,
    keep_errors: bool,
    keep_slower_than: Option<Duration>,
}

impl Sampler {
    /// None if everything is passed on.
    pub(super) fn new(settings: &SamplingSettings) -> Option<Self> {
        let ratio = settings.ratio.get();
        (ratio < 1.0).then(|| Self {
            ratio,
            keep_errors: settings.keep_errors,
            keep_slower_than: settings.keep_slower_than.map(Period::get),
        })
    }

    /// Takes out what is not passed on; returns how many spans that were.
    pub(super) fn sample(&self, request: &mut ExportTraceServiceRequest) -> u64 {
        let spans = request.resource_spans.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans);
        let kept: HashSet<Vec<u8>> = spans
            .filter(|span| self.chooses(&span.trace_id) || self.is_worth_it(span))
            .map(|span| span.trace_id.clone())
            .collect();
        let mut left_out = 0;
        for of_resource in &mut request.resource_spans {
            for of_scope in &mut of_resource.scope_spans {
                let before = of_scope.spans.len();
                of_scope.spans.retain(|span| kept.contains(&span.trace_id));
                left_out += (before - of_scope.spans.len()) as u64;
            }
            of_resource.scope_spans.retain(|of_scope| !of_scope.spans.is_empty());
        }
        request.resource_spans.retain(|of_resource| !of_resource.scope_spans.is_empty());
        left_out
    }

    fn chooses(&self, trace_id: &[u8]) -> bool {
        let last = trace_id.last_chunk::<7>().copied().unwrap_or_default();
        let random = last.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        random as f64 >= (1.0 - self.ratio) * RANDOMNESS
    }

    fn is_worth_it(&self, span: &Span) -> bool {
        let took = Duration::from_nanos(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano));
        (self.keep_errors && is_error(span)) || self.keep_slower_than.is_some_and(|slow| took >= slow)
    }
}
