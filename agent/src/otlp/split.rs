//! Splits export requests.
//!
//! The exporter halves a batch that the collector rejected as too large; nothing else after the
//! queue decodes a payload. The receiver splits requests of apps before the queue if a collector
//! would reject them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{Compression, Signal, compression, data_points};

/// Maximum size of a decompressed payload: far more than this agent puts into one batch.
const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Splits the items of a request in the middle: `$first` keeps the first half, and the macro
/// returns the second half with the same resources and scopes. Makes the calling function return
/// `None` if there are fewer than two items.
macro_rules! split_off_second_half {
    ($request:ty, $first:ident, $resources:ident, $scopes:ident, $items:ident) => {{
        let count: usize = $first.$resources.iter().flat_map(|r| &r.$scopes).map(|s| s.$items.len()).sum();
        if count < 2 {
            return None;
        }
        let mut second = <$request>::default();
        let mut keep = count / 2;
        for front in &mut $first.$resources {
            let mut scopes = Vec::new();
            for scope in &mut front.$scopes {
                let here = keep.min(scope.$items.len());
                keep -= here;
                let items = scope.$items.split_off(here);
                if !items.is_empty() {
                    let kept = std::mem::take(&mut scope.$items);
                    let mut back = scope.clone();
                    scope.$items = kept;
                    back.$items = items;
                    scopes.push(back);
                }
            }
            front.$scopes.retain(|scope| !scope.$items.is_empty());
            if !scopes.is_empty() {
                let kept = std::mem::take(&mut front.$scopes);
                let mut back = front.clone();
                front.$scopes = kept;
                back.$scopes = scopes;
                second.$resources.push(back);
            }
        }
        $first.$resources.retain(|resource| !resource.$scopes.is_empty());
        second
    }};
}

/// Splits a request into two with the same items in the same order, each with its number of items.
/// Returns `None` if the payload cannot be read, or has fewer than two log records, spans or
/// metrics.
pub(crate) fn halve(signal: Signal, compression: Compression, payload: &[u8]) -> Option<[(usize, Vec<u8>); 2]> {
    halve_plain(signal, &compression::decompress(compression, payload, MAX_PAYLOAD_BYTES).ok()?)
}

/// Splits a request with this number of `items` into parts of at most `max_bytes`, in order, each
/// with its number of items. A part that cannot be split any further stays larger.
pub(crate) fn into_parts(signal: Signal, items: usize, payload: Vec<u8>, max_bytes: usize) -> Vec<(usize, Vec<u8>)> {
    let halves = if payload.len() > max_bytes { halve_plain(signal, &payload) } else { None };
    let Some(halves) = halves else { return vec![(items, payload)] };
    drop(payload);
    halves.into_iter().flat_map(|(items, payload)| into_parts(signal, items, payload, max_bytes)).collect()
}

fn halve_plain(signal: Signal, bytes: &[u8]) -> Option<[(usize, Vec<u8>); 2]> {
    Some(match signal {
        Signal::Logs => {
            let mut first = ExportLogsServiceRequest::decode(bytes).ok()?;
            let second =
                split_off_second_half!(ExportLogsServiceRequest, first, resource_logs, scope_logs, log_records);
            [first, second].map(|request| {
                let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
                (scopes.map(|s| s.log_records.len()).sum(), request.encode_to_vec())
            })
        }
        Signal::Traces => {
            let mut first = ExportTraceServiceRequest::decode(bytes).ok()?;
            let second = split_off_second_half!(ExportTraceServiceRequest, first, resource_spans, scope_spans, spans);
            [first, second].map(|request| {
                let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
                (scopes.map(|s| s.spans.len()).sum(), request.encode_to_vec())
            })
        }
        Signal::Metrics => {
            let mut first = ExportMetricsServiceRequest::decode(bytes).ok()?;
            let second =
                split_off_second_half!(ExportMetricsServiceRequest, first, resource_metrics, scope_metrics, metrics);
            [first, second].map(|request| (data_points(&request), request.encode_to_vec()))
        }
    })
}

#[cfg(test)]
mod tests;
