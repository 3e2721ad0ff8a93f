//! Simulates the desks of a company for several days. The data of their agents and platforms passes
//! the agent's own encoders, queue and client with simulated times. The true values are known
//! ([`Answers`]).
//!
//! The same [`Fleet`] always creates the same data. Metrics are built from the agent's tables of
//! metrics, because the SDK can only use the system clock; logs, spans and events are created by
//! the agent's own encoders. Each desk has its own queue on disk, and every request is taken from
//! it as the exporter would. Reported bytes are therefore bytes on the wire, without HTTP headers.

mod answers;
mod company;
mod day;
mod meter;
mod platform;
mod report;
mod requests;

use std::collections::BTreeMap;

use insights_agent::config::CollectorSettings;
use insights_agent::otlp::Signal;
use insights_agent::paths::DataDir;
use insights_agent::pipeline::events::Events;
use insights_agent::pipeline::exporter::{Client, Outcome};
use insights_agent::pipeline::queue::{NewBatch, Queue};
use insights_agent::pipeline::spans::Spans;
use insights_agent::resource::Resource;
use insights_agent::signals::events::EventDefinition;
use jiff::Timestamp;
use jiff::civil::Date;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

pub use answers::{Answers, Breakdown, Calls, max_entry};
pub use platform::METRICS as PLATFORM_METRICS;
pub use report::Report;

/// The parameters of a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Number of desks. With fewer than [`Self::MIN_DESKS`], some kinds of trouble do not occur.
    pub desks: u32,
    /// Number of consecutive days.
    pub days: u32,
    /// First day, in UTC.
    pub first: Date,
    /// Export interval of metrics, in seconds (`host.export_interval`).
    pub interval: u32,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Fleet {
    /// Minimum number of desks with which every kind of trouble occurs.
    pub const MIN_DESKS: u32 = 5;
}

/// Data that a desk sends.
#[derive(Debug)]
enum Exported {
    Request(NewBatch),
    Spans(Vec<Span>),
    Event(EventDefinition, String, Vec<(&'static str, Value)>),
}

/// Runs the fleet and sends its data to an OTLP/gRPC receiver. Without a receiver the data is only
/// counted.
///
/// # Errors
/// Describes why a queue or a client cannot be created, or which request the receiver rejected.
pub async fn run(fleet: &Fleet, receiver: Option<&str>) -> Result<(Report, Answers), String> {
    let settings: CollectorSettings = match receiver {
        Some(endpoint) => serde_json::from_value(json!({ "endpoint": endpoint })).map_err(|error| error.to_string())?,
        None => CollectorSettings::default(),
    };
    let client = Client::new(&settings).map_err(|error| error.to_string())?;
    let client = receiver.map(|_| client);
    let (mut report, mut answers) = (Report::new(fleet), Answers::default());
    for number in 0..fleet.desks {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = DataDir::new(folder.path().to_owned());
        data.create().map_err(|error| error.to_string())?;
        let opened =
            Queue::open(&data.queue(), &serde_json::from_value(json!({})).unwrap_or_default(), settings.compression)
                .map_err(|error| error.to_string())?;
        let desk = company::Desk::new(number, fleet);
        for day in 0..fleet.days {
            let rng = fastrand::Rng::with_seed(fleet.seed ^ (u64::from(number) << 32) ^ u64::from(day));
            let day = day::simulate(fleet, &desk, day, rng, &data, &mut answers);
            let encoded = day.resource.to_protobuf();
            let wrong = |error: prost::DecodeError| error.to_string();
            let events = Events::new(opened.queue.clone(), &encoded).map_err(wrong)?;
            let spans = Spans::new(opened.queue.clone(), &encoded).map_err(wrong)?;
            report.series(day.series);
            for (at, exported) in day.exported {
                put(&opened.queue, &events, &spans, at, exported).await?;
                take(&opened.queue, client.as_ref(), at, &mut report).await?;
            }
        }
        let thread = opened.thread;
        tokio::task::spawn_blocking(move || thread.stop()).await.map_err(|error| error.to_string())?;
    }
    Ok((report, answers))
}

async fn put(queue: &Queue, events: &Events, spans: &Spans, at: Timestamp, exported: Exported) -> Result<(), String> {
    let put = match exported {
        Exported::Request(batch) => queue.append(batch).await,
        Exported::Spans(of) => spans.append(of).await,
        Exported::Event(event, body, attributes) => events.emit(event, at, body, attributes).await,
    };
    put.map_err(|error| error.to_string())
}

/// Takes all queued batches out of the queue, as the exporter does.
async fn take(queue: &Queue, client: Option<&Client>, at: Timestamp, report: &mut Report) -> Result<(), String> {
    for signal in Signal::ALL {
        while let Some(batch) = queue.next(signal).await {
            report.request(at, signal, batch.payload.len(), batch.items);
            if let Some(client) = client {
                match client.send(&batch).await {
                    Outcome::Accepted { rejected: 0, .. } => (),
                    other => return Err(format!("{signal} of {at} was not accepted: {other:?}")),
                }
            }
            queue.acknowledge(batch.id, 0).await;
        }
    }
    Ok(())
}

/// Returns the agent's resource of a desk on a day.
fn resource(desk: &company::Desk, session: &str, instance: &str, data: &DataDir) -> Resource {
    let own = BTreeMap::from([
        ("host.name", desk.host.as_str()),
        ("host.id", &desk.id),
        ("user.name", &desk.user),
        ("department", desk.department.name),
        ("deployment.environment.name", desk.environment),
        ("session.id", session),
        ("service.instance.id", instance),
        ("os.type", "windows"),
        ("os.name", "Windows"),
        ("os.version", "11 (26100)"),
        ("os.description", "Windows 11 Enterprise"),
    ]);
    let settings =
        serde_json::from_value(json!({ "user": "none", "attributes": own })).expect("settings of a resource");
    Resource::detect(&settings, data)
}
