//! Metrics of the agent itself: what it read, delivered and lost, what waits, and what it costs.
//!
//! Exporters and queues have names of their own in OpenTelemetry's semantic conventions ("OpenTelemetry SDK metrics"); what
//! has none begins with `insights.agent.`.

use opentelemetry_semantic_conventions::{attribute, metric};

use super::{Instrument, Metric};
use crate::signals::Attribute;

/// Instrumentation scope of the agent's own metrics.
pub const INTERNAL_SCOPE: &str = "insights-agent.internal";

/// Attribute: which kind of data.
pub const SIGNAL: Attribute = Attribute { name: "insights.agent.signal", meaning: "`metrics`, `traces`, `logs`." };
/// Attribute: why data was dropped.
pub const DROP_REASON: Attribute = Attribute {
    name: "insights.agent.drop.reason",
    meaning: "`too_old`, `full` (`queue.max_bytes`), `disk_full`, `refused` (by the collector, for good), `too_large`, `damaged`, \
              `withdrawn` (sharing ended); of log records also `filtered`, `sampled`, `rate_limited`, as `logs` in the settings has it.",
};
/// Attribute: why the receiver took nothing.
pub const REFUSE_REASON: Attribute = Attribute {
    name: "insights.agent.receiver.reason",
    meaning: "Why: as `insights-agent status --json` names it in `receiver.refused`.",
};
/// Attribute: which part.
pub const COMPONENT_NAME: Attribute =
    Attribute { name: attribute::OTEL_COMPONENT_NAME, meaning: "The type, followed by `/0`." };
/// Attribute: which kind of part.
pub const COMPONENT_TYPE: Attribute = Attribute {
    name: attribute::OTEL_COMPONENT_TYPE,
    meaning: "Of an exporter `otlp_grpc_log_exporter`, `otlp_http_span_exporter`, `otlp_http_json_metric_exporter` and so on; of the \
              queue `insights_agent_queue`.",
};
/// Attribute: whose collector.
pub const SERVER_ADDRESS: Attribute =
    Attribute { name: attribute::SERVER_ADDRESS, meaning: "Host of the collector in the settings." };
/// Attribute: which port of it.
pub const SERVER_PORT: Attribute = Attribute { name: attribute::SERVER_PORT, meaning: "Its port. A number." };
/// Attribute: what went wrong.
pub const ERROR_TYPE: Attribute = Attribute {
    name: attribute::ERROR_TYPE,
    meaning: "Not there if all went well. `rejected`: of a partial success. `refused`, `too_large`: the request, for good. Of the \
              duration also the HTTP status, the gRPC code, or `damaged`.",
};

/// Bounds for export operations: from a collector next door to one that was away for a day.
const OPERATION_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

const EXPORTER: &[Attribute] = &[COMPONENT_NAME, COMPONENT_TYPE, SERVER_ADDRESS, SERVER_PORT, ERROR_TYPE];
const QUEUE: &[Attribute] = &[COMPONENT_NAME, COMPONENT_TYPE];

/// A metric of this scope.
const fn own(
    name: &'static str,
    unit: &'static str,
    instrument: Instrument,
    description: &'static str,
    attributes: &'static [Attribute],
) -> Metric {
    Metric { name, unit, instrument, description, attributes, scope: INTERNAL_SCOPE }
}

/// Exported data points.
pub const EXPORTED_METRICS: Metric = own(
    metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_EXPORTED,
    "{data_point}",
    Instrument::Counter,
    "Data points that the collector acknowledged, and, with `error.type`, those that it did not take for good. Each is counted \
     once, however often it was sent.",
    EXPORTER,
);
/// Exported spans.
pub const EXPORTED_TRACES: Metric =
    own(metric::OTEL_SDK_EXPORTER_SPAN_EXPORTED, "{span}", Instrument::Counter, "The same of spans.", EXPORTER);
/// Exported log records.
pub const EXPORTED_LOGS: Metric = own(
    metric::OTEL_SDK_EXPORTER_LOG_EXPORTED,
    "{log_record}",
    Instrument::Counter,
    "The same of log records.",
    EXPORTER,
);
/// Length of exports.
pub const EXPORT_DURATION: Metric = own(
    metric::OTEL_SDK_EXPORTER_OPERATION_DURATION,
    "s",
    Instrument::Histogram(OPERATION_BOUNDS),
    "Time from the first attempt to send a request until it was acknowledged or given up, waits between attempts included.",
    EXPORTER,
);
/// Spans that wait.
pub const QUEUED_TRACES: Metric = own(
    metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE,
    "{span}",
    Instrument::UpDownCounter,
    "Spans that wait to be delivered.",
    QUEUE,
);
/// Log records that wait.
pub const QUEUED_LOGS: Metric = own(
    metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
    "{log_record}",
    Instrument::UpDownCounter,
    "Log records that wait to be delivered.",
    QUEUE,
);
/// Requests that wait.
pub const QUEUE_REQUESTS: Metric = own(
    "insights.agent.queue.requests",
    "{request}",
    Instrument::UpDownCounter,
    "Requests that wait to be delivered.",
    &[SIGNAL],
);
/// Bytes that wait.
pub const QUEUE_USAGE: Metric = own(
    "insights.agent.queue.usage",
    "By",
    Instrument::UpDownCounter,
    "Size of the requests that wait, compressed.",
    &[SIGNAL],
);
/// Size of the queue.
pub const QUEUE_LIMIT: Metric = own(
    "insights.agent.queue.limit",
    "By",
    Instrument::UpDownCounter,
    "How much disk the queue may take: `queue.max_bytes`.",
    &[],
);
/// Age of what waits.
pub const QUEUE_AGE: Metric = own(
    "insights.agent.queue.age",
    "s",
    Instrument::Gauge,
    "How long the oldest request has waited. Not there when nothing waits.",
    &[SIGNAL],
);
/// Dropped items.
pub const DROPPED: Metric = own(
    "insights.agent.dropped",
    "{item}",
    Instrument::Counter,
    "Data points, spans and log records that left the agent without being delivered.",
    &[SIGNAL, DROP_REASON],
);
/// Log records read.
pub const LOGS_READ: Metric = own(
    "insights.agent.logs.read",
    "{log_record}",
    Instrument::Counter,
    "Records found in io.Connect's log files, while their kind is shared.",
    &[],
);
/// Bytes that the reader is behind.
pub const LOGS_BEHIND: Metric = own(
    "insights.agent.logs.behind",
    "By",
    Instrument::UpDownCounter,
    "Bytes that lie in log files that are followed, and have not been read yet.",
    &[],
);
/// Items taken by the receiver.
pub const RECEIVED: Metric = own(
    "insights.agent.receiver.accepted",
    "{item}",
    Instrument::Counter,
    "Data points, spans and log records that the receiver took of the platform and its apps.",
    &[SIGNAL],
);
/// Requests that the receiver refused.
pub const RECEIVER_REFUSED: Metric = own(
    "insights.agent.receiver.refused",
    "{request}",
    Instrument::Counter,
    "Requests that the receiver did not take.",
    &[REFUSE_REASON],
);
/// CPU time of the agent.
pub const OWN_CPU_TIME: Metric = own(
    "insights.agent.process.cpu.time",
    "s",
    Instrument::Counter,
    "CPU time, in all modes, that the agent's process has used. The window is a process of its own and not in it.",
    &[],
);
/// Memory of the agent.
pub const OWN_MEMORY_USAGE: Metric = own(
    "insights.agent.process.memory.usage",
    "By",
    Instrument::UpDownCounter,
    "Physical memory of the agent's process (Windows: working set; Linux: resident set).",
    &[],
);
