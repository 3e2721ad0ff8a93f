//! The independent decoder: a Python program that shares no code with the agent and decodes what it
//! sends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::isolation::isolate;

/// The running decoder. It is killed when this is dropped.
#[derive(Debug)]
pub struct Decoder {
    child: Child,
    /// Port for OTLP/gRPC.
    pub grpc: u64,
    /// Port for OTLP/HTTP.
    pub http: u64,
    items: Arc<Mutex<Vec<Value>>>,
}

impl Decoder {
    /// Starts the decoder with a Python interpreter that has its packages.
    #[must_use]
    pub fn start(python: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/decoder/decode.py");
        let mut command = Command::new(python);
        isolate(&mut command);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the decoder starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = output.next().expect("the ports").expect("text");
        let ports: Value = serde_json::from_str(&first).expect("JSON");
        let items = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&items);
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                let item = serde_json::from_str(&line).expect("JSON");
                kept.lock().expect("no panic while it was held").push(item);
            }
        });
        let port = |name: &str| ports[name].as_u64().expect("a port");
        Self { child, grpc: port("grpc"), http: port("http"), items }
    }

    /// Returns the items of a signal that have arrived.
    #[must_use]
    pub fn items(&self, signal: &str) -> Vec<Value> {
        let items = self.items.lock().expect("no panic while it was held");
        items.iter().filter(|item| item["signal"] == signal).cloned().collect()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
