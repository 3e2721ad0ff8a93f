//! Checks that any input in any format is rejected with a reason, or becomes batches with items
//! that do not change when they are prepared again, and that only allowed hosts and origins pass
//! access control.
#![no_main]

use std::sync::LazyLock;

use insights_agent::config::ReceiverSettings;
use insights_agent::otlp::Compression;
use insights_agent::otlp::Signal;
use insights_agent::sources::receiver::fuzzing::{Body, FuzzReceiver};
use libfuzzer_sys::fuzz_target;

static RECEIVER: LazyLock<FuzzReceiver> = LazyLock::new(|| {
    let settings = r#"{
        "allowed_origins": ["https://*.example.com", "http://localhost:*"],
        "redacted_attributes": ["*"],
        "sampling": { "ratio": 0.5, "keep_slower_than": "1s" },
        "request_views": { "enabled": true }
    }"#;
    FuzzReceiver::new(&serde_json::from_str::<ReceiverSettings>(settings).expect("settings"))
});

fuzz_target!(|input: (u8, u8, &[u8], &[u8], &[u8])| {
    let (signal, form, host, origin, bytes) = input;
    if RECEIVER.allows(host, origin) {
        let (host, origin) = (String::from_utf8_lossy(host).to_lowercase(), String::from_utf8_lossy(origin).to_lowercase());
        assert!(["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host.starts_with(name)), "{host}");
        assert!(origin.starts_with("http://localhost") || origin.ends_with(".example.com"), "{origin}");
    }
    let signal = Signal::ALL[usize::from(signal % 3)];
    let body = match form % 7 {
        0 => Body::Grpc,
        1 => Body::Protobuf(Compression::None),
        2 => Body::Protobuf(Compression::Gzip),
        3 => Body::Protobuf(Compression::Zstd),
        4 => Body::Json(Compression::None),
        5 => Body::Json(Compression::Gzip),
        _ => Body::Json(Compression::Zstd),
    };
    match RECEIVER.prepare(signal, body, bytes) {
        Ok(batches) => {
            for batch in batches {
                assert!(batch.items > 0);
                let again = RECEIVER.prepare(batch.signal, Body::Protobuf(Compression::None), &batch.payload);
                let again = again.expect("a prepared batch is accepted again");
                assert_eq!(again.len(), 1);
                assert_eq!((again[0].items, &again[0].payload), (batch.items, &batch.payload));
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});
