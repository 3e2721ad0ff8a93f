//! The destination of each signal.

use super::client::Client;
use super::error::ClientError;
use crate::config::{CollectorSettings, DestinationSettings};
use crate::otlp::Signal;

/// A client for each signal, and optionally a fallback for all of them.
#[derive(Debug, Clone)]
pub struct Clients {
    by_signal: [(Signal, Client); 3],
    fallback: Option<Client>,
}

impl Clients {
    /// Creates the clients; no connection is opened yet. Signals without settings of their own
    /// share one client.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: &CollectorSettings) -> Result<Self, ClientError> {
        let common = Client::new(settings)?;
        let create = |signal: Signal| -> Result<(Signal, Client), ClientError> {
            let overrides = settings.overrides_for(signal);
            if *overrides == DestinationSettings::default() {
                return Ok((signal, common.clone()));
            }
            let client = Client::new(&settings.with_overrides(overrides))?;
            // The endpoint of a single signal is used without appending a path (OpenTelemetry
            // specification, "Protocol Exporter", section "Endpoint URLs for OTLP/HTTP").
            Ok((signal, if overrides.endpoint.is_some() { client.with_exact_url() } else { client }))
        };
        let fallback = match &settings.fallback {
            overrides @ DestinationSettings { endpoint: Some(_), .. } => {
                Some(Client::new(&settings.with_overrides(overrides))?)
            }
            _ => None,
        };
        let [metrics, traces, logs] = Signal::ALL;
        Ok(Self { by_signal: [create(metrics)?, create(traces)?, create(logs)?], fallback })
    }

    /// Returns the client of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &Client {
        let found = self.by_signal.iter().find(|(of, _)| *of == signal);
        // Every signal has a client, so the default is never used.
        found.map_or(&self.by_signal[0].1, |(_, client)| client)
    }

    /// Returns the client that is used while the primary collector does not accept data.
    #[must_use]
    pub const fn fallback(&self) -> Option<&Client> {
        self.fallback.as_ref()
    }
}
