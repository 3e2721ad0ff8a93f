//! Halving an export request that a collector calls too large: the one place after the queue that decodes a payload.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{Signal, codec, data_points};
use crate::config::Compression;

/// Largest payload that is decoded: far above what this agent puts into one batch.
const LARGEST: usize = 64 << 20;

/// Parts a request's items in the middle: `$first` keeps the front, the result is the rest with the same resources and
/// scopes. Nothing if there are fewer than two.
macro_rules! part {
    ($first:ident, $resources:ident, $scopes:ident, $items:ident) => {{
        let count: usize = $first.$resources.iter().flat_map(|r| &r.$scopes).map(|s| s.$items.len()).sum();
        if count < 2 {
            return None;
        }
        let mut second = $first.clone();
        let mut keep = count / 2;
        for (front, back) in $first.$resources.iter_mut().zip(&mut second.$resources) {
            for (front, back) in front.$scopes.iter_mut().zip(&mut back.$scopes) {
                let here = keep.min(front.$items.len());
                front.$items.truncate(here);
                back.$items.drain(..here);
                keep -= here;
            }
            front.$scopes.retain(|scope| !scope.$items.is_empty());
            back.$scopes.retain(|scope| !scope.$items.is_empty());
        }
        $first.$resources.retain(|resource| !resource.$scopes.is_empty());
        second.$resources.retain(|resource| !resource.$scopes.is_empty());
        second
    }};
}

/// Two requests, each with its count of items, that together hold what the one held, in order. None if the payload
/// cannot be read, or holds fewer than two of the things that can be parted: log records, spans, metrics.
pub(super) fn halve(signal: Signal, compression: Compression, payload: &[u8]) -> Option<[(usize, Vec<u8>); 2]> {
    let bytes = codec::decompress(compression, payload, LARGEST).ok()?;
    Some(match signal {
        Signal::Logs => {
            let mut first = ExportLogsServiceRequest::decode(bytes.as_slice()).ok()?;
            let second = part!(first, resource_logs, scope_logs, log_records);
            [first, second].map(|request| {
                let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
                (scopes.map(|s| s.log_records.len()).sum(), request.encode_to_vec())
            })
        }
        Signal::Traces => {
            let mut first = ExportTraceServiceRequest::decode(bytes.as_slice()).ok()?;
            let second = part!(first, resource_spans, scope_spans, spans);
            [first, second].map(|request| {
                let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
                (scopes.map(|s| s.spans.len()).sum(), request.encode_to_vec())
            })
        }
        Signal::Metrics => {
            let mut first = ExportMetricsServiceRequest::decode(bytes.as_slice()).ok()?;
            let second = part!(first, resource_metrics, scope_metrics, metrics);
            [first, second].map(|request| (data_points(&request), request.encode_to_vec()))
        }
    })
}

#[cfg(test)]
mod tests;
