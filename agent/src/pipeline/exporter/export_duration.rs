//! Measures export durations: from the first attempt to send a request until it is acknowledged or
//! given up.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tokio::time::Instant;

use super::decision::Outcome;
use crate::pipeline::queue::BatchId;
use crate::signals::metrics::ERROR_TYPE;

/// Records the durations of one lane's exports, which follow each other one by one.
///
/// The default value records nothing.
#[derive(Debug, Default)]
pub struct ExportDuration {
    histogram: Option<(Histogram<f64>, Vec<KeyValue>)>,
    current: Option<(BatchId, Instant)>,
}

impl ExportDuration {
    /// Creates a recorder that adds `attributes` to every measurement.
    #[must_use]
    pub fn new(histogram: Histogram<f64>, attributes: Vec<KeyValue>) -> Self {
        Self { histogram: Some((histogram, attributes)), current: None }
    }

    /// Starts the measurement of a batch. Further attempts for the same batch do not restart it.
    pub(super) fn start(&mut self, batch: BatchId) {
        if self.current.is_none_or(|(current, _)| current != batch) {
            self.current = Some((batch, Instant::now()));
        }
    }

    /// Records the duration after the last attempt.
    pub(super) fn finish(&mut self, outcome: &Outcome) {
        let (Some((_, start)), Some((histogram, attributes))) = (self.current.take(), &self.histogram) else { return };
        let error = error_type(outcome).map(|error| KeyValue::new(ERROR_TYPE.name, error));
        let attributes: Vec<KeyValue> = attributes.iter().cloned().chain(error).collect();
        histogram.record(start.elapsed().as_secs_f64(), &attributes);
    }
}

/// Returns the attribute `error.type` of an outcome; none if all items were accepted. gRPC codes
/// are written as in `rpc.response.status_code`.
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
        Outcome::NoResponse(_) => Some("_OTHER".to_owned()),
        Outcome::Unreadable(_) => Some("damaged".to_owned()),
    }
}
