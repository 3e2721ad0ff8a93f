//! A connection test: sends an empty request for each signal.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::clients::Clients;
use super::decision::Outcome;
use super::sentence::sentence;
use crate::otlp::{Compression, Signal};
use crate::pipeline::queue::{Batch, BatchId};

/// The collector's response to an empty request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The signal that was tested.
    pub signal: Signal,
    /// Whether the collector accepted the request.
    pub ok: bool,
    /// The result as a sentence, with what to do.
    pub sentence: String,
    /// How long the request took.
    pub milliseconds: u64,
    /// Seconds by which the collector's clock is ahead of this machine's; none if the collector
    /// does not report its time.
    #[serde(default)]
    pub clock_skew_seconds: Option<i64>,
}

/// Sends an empty request for each signal and returns the responses.
pub async fn probe(clients: &Clients) -> Vec<Probe> {
    let mut probes = Vec::new();
    for signal in Signal::ALL {
        let client = clients.of(signal);
        let start = Instant::now();
        let payload = bytes::Bytes::new();
        let id = BatchId::default();
        let batch = Batch { id, signal, compression: Compression::None, items: 0, split: false, payload };
        let outcome = client.send(&batch).await;
        let ok = matches!(outcome, Outcome::Accepted { rejected: 0, .. });
        let sentence = match &outcome {
            Outcome::Accepted { message, .. } if message.is_empty() => {
                format!("{} accepts {signal}.", client.address())
            }
            other => sentence(other, signal, &client.address()),
        };
        let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let clock_skew_seconds = client.clock_skew();
        probes.push(Probe { signal, ok, sentence, milliseconds, clock_skew_seconds });
    }
    probes
}
