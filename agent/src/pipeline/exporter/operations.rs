//! How long exports take: from the first attempt to send a request until it has been acknowledged or given up.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio::time::Instant;

use super::decision::Outcome;
use crate::pipeline::queue::BatchId;
use crate::signals::metrics::ERROR_TYPE;

/// The export operations of one exporter, one after the other.
#[derive(Debug, Default)]
pub struct Operations {
    told: Option<(Histogram<f64>, Vec<KeyValue>)>,
    under_way: Option<(BatchId, Instant)>,
}

impl Operations {
    /// Those of an exporter with these attributes.
    #[must_use]
    pub fn new(histogram: Histogram<f64>, attributes: Vec<KeyValue>) -> Self {
        Self { told: Some((histogram, attributes)), under_way: None }
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, batch: BatchId) {
        if self.under_way.is_none_or(|(under_way, _)| under_way != batch) {
            self.under_way = Some((batch, Instant::now()));
        }
    }

    /// It was the last one.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        let (Some((_, begun)), Some((histogram, attributes))) = (self.under_way.take(), &self.told) else { return };
        let error = error_type(outcome).map(|error| KeyValue::new(ERROR_TYPE.name, error));
        let attributes: Vec<KeyValue> = attributes.iter().cloned().chain(error).collect();
        histogram.record(begun.elapsed().as_secs_f64(), &attributes);
    }
}

/// `error.type` of an outcome; none if all of it was taken. gRPC's codes as in `rpc.response.status_code`.
fn error_type(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted { rejected: 0, .. } => None,
        Outcome::Accepted { .. } => Some("rejected".to_owned()),
        Outcome::Http { status, .. } => Some(status.to_string()),
        Outcome::Grpc { code, .. } => {
            let mut name = String::new();
            for letter in format!("{code:?}").chars() {
                if letter.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            Some(name)
        }
        Outcome::None(_) => Some("_OTHER".to_owned()),
        Outcome::Damaged(_) => Some("damaged".to_owned()),
    }
}
