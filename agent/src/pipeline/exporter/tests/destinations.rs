//! Scenario: one destination (a signal or the fallback) has settings of its own.

use std::path::PathBuf;

use super::*;
use crate::config::Protocol;

/// Guarantees: each setting of a destination applies to the client of that destination only.
///
/// Settings: `collector.metrics`, `collector.traces`, `collector.logs`, `collector.fallback`.
#[tokio::test]
async fn destination_settings_apply_to_that_destination_only() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["desk".to_owned()]).unwrap().self_signed(&key).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (own, own_key) = (file("desk.pem", certificate.pem()), file("desk.key", key.serialize_pem()));
    let different = serde_json::json!({
        "endpoint": "http://127.0.0.1:9",
        "protocol": "http/json",
        "headers": { "x-own": "yes" },
        "compression": "none",
        "timeout": "3s",
        "certificate": own,
        "client_certificate": own,
        "client_key": own_key,
    });
    for name in ["metrics", "traces", "logs", "fallback"] {
        let settings: CollectorSettings = serde_json::from_value(serde_json::json!({ name: different })).unwrap();
        let clients = Clients::new(&settings).unwrap();
        let of_signals = Signal::ALL.map(|signal| (signal.name(), Some(clients.of(signal))));
        for (of, client) in of_signals.into_iter().chain([("fallback", clients.fallback())]) {
            let Some(client) = client else {
                assert_ne!(of, name, "the fallback has an endpoint");
                continue;
            };
            let found = client.settings();
            let header = found.headers.get("x-own").map(|value| value.reveal().to_owned());
            let files = [&found.certificate, &found.client_certificate, &found.client_key].map(Option::as_ref);
            if of == name {
                assert_eq!(found.endpoint.to_string(), "http://127.0.0.1:9", "{of}");
                assert_eq!((found.protocol, found.compression), (Protocol::HttpJson, Compression::None), "{of}");
                assert_eq!(found.timeout.get(), Duration::from_secs(3), "{of}");
                assert_eq!(header.as_deref(), Some("yes"), "{of}");
                assert_eq!(files, [Some(&own), Some(&own), Some(&own_key)], "{of}");
            } else {
                let default = CollectorSettings::default();
                assert_eq!((&found.endpoint, found.protocol), (&default.endpoint, default.protocol), "{of} of {name}");
                assert_eq!(
                    (found.compression, found.timeout),
                    (default.compression, default.timeout),
                    "{of} of {name}"
                );
                assert_eq!((header, files), (None, [None::<&PathBuf>; 3]), "{of} of {name}");
            }
        }
    }
}
