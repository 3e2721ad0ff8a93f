//! Halving an export request that a collector calls too large: the one place after the queue that decodes a payload. What
//! apps send is halved before the queue, if a collector would call it too large.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{Compression, Signal, compression, data_points};

/// Largest payload that is decoded: far above what this agent puts into one batch.
const LARGEST: usize = 64 << 20;

/// Parts a request's items in the middle: `$first` keeps the front, the result is the rest with the same resources and
/// scopes. Nothing if there are fewer than two.
macro_rules! part {
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

/// Two requests, each with its count of items, that together hold what the one held, in order. None if the payload
/// cannot be read, or holds fewer than two of the things that can be parted: log records, spans, metrics.
pub(crate) fn halve(signal: Signal, compression: Compression, payload: &[u8]) -> Option<[(usize, Vec<u8>); 2]> {
    halve_plain(signal, &compression::decompress(compression, payload, LARGEST).ok()?)
}

/// A request, and what it holds of items, as parts of at most so many bytes each, in order. What cannot be parted stays
/// as large as it is.
pub(crate) fn into_parts(signal: Signal, items: usize, payload: Vec<u8>, most: usize) -> Vec<(usize, Vec<u8>)> {
    let halves = if payload.len() > most { halve_plain(signal, &payload) } else { None };
    let Some(halves) = halves else { return vec![(items, payload)] };
    drop(payload);
    halves.into_iter().flat_map(|(items, payload)| into_parts(signal, items, payload, most)).collect()
}

fn halve_plain(signal: Signal, bytes: &[u8]) -> Option<[(usize, Vec<u8>); 2]> {
    Some(match signal {
        Signal::Logs => {
            let mut first = ExportLogsServiceRequest::decode(bytes).ok()?;
            let second = part!(ExportLogsServiceRequest, first, resource_logs, scope_logs, log_records);
            [first, second].map(|request| {
                let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
                (scopes.map(|s| s.log_records.len()).sum(), request.encode_to_vec())
            })
        }
        Signal::Traces => {
            let mut first = ExportTraceServiceRequest::decode(bytes).ok()?;
            let second = part!(ExportTraceServiceRequest, first, resource_spans, scope_spans, spans);
            [first, second].map(|request| {
                let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
                (scopes.map(|s| s.spans.len()).sum(), request.encode_to_vec())
            })
        }
        Signal::Metrics => {
            let mut first = ExportMetricsServiceRequest::decode(bytes).ok()?;
            let second = part!(ExportMetricsServiceRequest, first, resource_metrics, scope_metrics, metrics);
            [first, second].map(|request| (data_points(&request), request.encode_to_vec()))
        }
    })
}

#[cfg(test)]
mod tests;
