//! Where each signal goes.

use super::client::Client;
use super::error::ClientError;
use crate::config::{CollectorSettings, DestinationSettings};
use crate::otlp::Signal;

/// A client for each signal, and one for bad times.
#[derive(Debug, Clone)]
pub struct Clients {
    of: [(Signal, Client); 3],
    fallback: Option<Client>,
}

impl Clients {
    /// Clients for these settings; nothing is connected yet. Signals of which nothing is different share one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: &CollectorSettings) -> Result<Self, ClientError> {
        let common = Client::new(settings)?;
        let of = |signal: Signal| -> Result<(Signal, Client), ClientError> {
            let different = settings.overrides_for(signal);
            if *different == DestinationSettings::default() {
                return Ok((signal, common.clone()));
            }
            let client = Client::new(&settings.with_overrides(different))?;
            // Each signal's address is used as it is (OpenTelemetry, "Protocol Exporter", section "Endpoint URLs for OTLP/HTTP").
            Ok((signal, if different.endpoint.is_some() { client.with_whole_address() } else { client }))
        };
        let fallback = match &settings.fallback {
            different @ DestinationSettings { endpoint: Some(_), .. } => {
                Some(Client::new(&settings.with_overrides(different))?)
            }
            _ => None,
        };
        let [metrics, traces, logs] = Signal::ALL;
        Ok(Self { of: [of(metrics)?, of(traces)?, of(logs)?], fallback })
    }

    /// The client of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &Client {
        let found = self.of.iter().find(|(of, _)| *of == signal);
        // Every signal has one.
        found.map_or(&self.of[0].1, |(_, client)| client)
    }

    /// The one for bad times.
    #[must_use]
    pub const fn fallback(&self) -> Option<&Client> {
        self.fallback.as_ref()
    }
}
