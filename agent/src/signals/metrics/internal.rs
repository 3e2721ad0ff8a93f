//! Metrics of the agent itself: data read, delivered, dropped and queued, and the resources used.
//!
//! Metrics of exporters and queues have the names of OpenTelemetry's semantic conventions
//! ("OpenTelemetry SDK metrics"). Other names start with `insights.agent.`.

use opentelemetry_semantic_conventions::{attribute, metric};

use super::{Instrument, Metric};
use crate::signals::Attribute;

/// Instrumentation scope of metrics of the agent itself.
pub const INTERNAL_SCOPE: &str = "insights-agent.internal";

/// Attribute: signal of the data.
pub const SIGNAL: Attribute =
    Attribute { name: "insights.agent.signal", description: "`metrics`, `traces` or `logs`." };
/// Attribute: why data was dropped.
pub const DROP_REASON: Attribute = Attribute {
    name: "insights.agent.drop.reason",
    description: "`too_old`, `full` (`queue.max_bytes`), `disk_full`, `refused` (rejected by the \
                  collector, not retried), `too_large`, `damaged` or `withdrawn` (sharing ended). \
                  For log records also `filtered`, `sampled` or `rate_limited`, as configured in \
                  `logs`.",
};
/// Attribute: why the receiver rejected a request.
pub const REJECTION_REASON: Attribute = Attribute {
    name: "insights.agent.receiver.reason",
    description: "Reason for the rejection, as in `receiver.refused` of `insights-agent status \
                  --json`.",
};
/// Attribute: name of an exporter or queue.
pub const COMPONENT_NAME: Attribute =
    Attribute { name: attribute::OTEL_COMPONENT_NAME, description: "Component type followed by `/0`." };
/// Attribute: type of an exporter or queue.
pub const COMPONENT_TYPE: Attribute = Attribute {
    name: attribute::OTEL_COMPONENT_TYPE,
    description: "For an exporter `otlp_grpc_log_exporter`, `otlp_http_span_exporter`, \
                  `otlp_http_json_metric_exporter` and so on; for the queue \
                  `insights_agent_queue`.",
};
/// Attribute: host of the collector.
pub const SERVER_ADDRESS: Attribute =
    Attribute { name: attribute::SERVER_ADDRESS, description: "Host of the collector, from the settings." };
/// Attribute: port of the collector.
pub const SERVER_PORT: Attribute =
    Attribute { name: attribute::SERVER_PORT, description: "Port of the collector. A number." };
/// Attribute: kind of export failure.
pub const ERROR_TYPE: Attribute = Attribute {
    name: attribute::ERROR_TYPE,
    description: "Not set on success. `rejected`: the items that a partial success rejected. \
                  `refused`, `too_large`: the whole request was rejected and is not retried. For \
                  the duration also the HTTP status, the gRPC code, or `damaged`.",
};

/// Bounds of export durations: from a collector on the local network to one that was unreachable
/// for a day.
const OPERATION_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

const EXPORTER: &[Attribute] = &[COMPONENT_NAME, COMPONENT_TYPE, SERVER_ADDRESS, SERVER_PORT, ERROR_TYPE];
const QUEUE: &[Attribute] = &[COMPONENT_NAME, COMPONENT_TYPE];

/// Returns a metric of [`INTERNAL_SCOPE`].
const fn internal(
    name: &'static str,
    unit: &'static str,
    instrument: Instrument,
    description: &'static str,
    attributes: &'static [Attribute],
) -> Metric {
    Metric { name, unit, instrument, description, attributes, scope: INTERNAL_SCOPE }
}

metric_table! {
    /// Every metric of this file.
    INTERNAL:

    /// Exported metric data points.
    pub const EXPORTED_METRICS = internal(
        metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_EXPORTED,
        "{data_point}",
        Instrument::Counter,
        "Data points that the collector acknowledged or, with `error.type`, rejected. Each is counted \
         once, however often it was sent.",
        EXPORTER,
    );

    /// Exported spans.
    pub const EXPORTED_TRACES = internal(
        metric::OTEL_SDK_EXPORTER_SPAN_EXPORTED,
        "{span}",
        Instrument::Counter,
        "Spans that the collector acknowledged or, with `error.type`, rejected. Each is counted once, \
         however often it was sent.",
        EXPORTER,
    );

    /// Exported log records.
    pub const EXPORTED_LOGS = internal(
        metric::OTEL_SDK_EXPORTER_LOG_EXPORTED,
        "{log_record}",
        Instrument::Counter,
        "Log records that the collector acknowledged or, with `error.type`, rejected. Each is counted \
         once, however often it was sent.",
        EXPORTER,
    );

    /// Durations of exports.
    pub const EXPORT_DURATION = internal(
        metric::OTEL_SDK_EXPORTER_OPERATION_DURATION,
        "s",
        Instrument::Histogram(OPERATION_BOUNDS),
        "Time from the first attempt to send a request until it was acknowledged or given up, \
         including delays between attempts.",
        EXPORTER,
    );

    /// Queued spans.
    pub const QUEUED_TRACES = internal(
        metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE,
        "{span}",
        Instrument::UpDownCounter,
        "Number of queued spans.",
        QUEUE,
    );

    /// Queued log records.
    pub const QUEUED_LOGS = internal(
        metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
        "{log_record}",
        Instrument::UpDownCounter,
        "Number of queued log records.",
        QUEUE,
    );

    /// Queued requests.
    pub const QUEUE_REQUESTS = internal(
        "insights.agent.queue.requests",
        "{request}",
        Instrument::UpDownCounter,
        "Number of queued requests.",
        &[SIGNAL],
    );

    /// Size of the queued requests.
    pub const QUEUE_USAGE = internal(
        "insights.agent.queue.usage",
        "By",
        Instrument::UpDownCounter,
        "Compressed size of the queued requests.",
        &[SIGNAL],
    );

    /// Maximum size of the queue.
    pub const QUEUE_LIMIT = internal(
        "insights.agent.queue.limit",
        "By",
        Instrument::UpDownCounter,
        "Maximum size of the queue on disk: `queue.max_bytes`.",
        &[],
    );

    /// Age of the oldest queued request.
    pub const QUEUE_AGE = internal(
        "insights.agent.queue.age",
        "s",
        Instrument::Gauge,
        "Age of the oldest queued request. Not reported if the queue is empty.",
        &[SIGNAL],
    );

    /// Dropped items.
    pub const DROPPED = internal(
        "insights.agent.dropped",
        "{item}",
        Instrument::Counter,
        "Data points, spans and log records that were dropped without being delivered.",
        &[SIGNAL, DROP_REASON],
    );

    /// Log records read from files.
    pub const LOGS_READ = internal(
        "insights.agent.logs.read",
        "{log_record}",
        Instrument::Counter,
        "Log records read from io.Connect log files while their kind is shared.",
        &[],
    );

    /// Unread bytes in log files.
    pub const LOGS_BEHIND = internal(
        "insights.agent.logs.behind",
        "By",
        Instrument::UpDownCounter,
        "Bytes in followed log files that are not read yet.",
        &[],
    );

    /// Items accepted by the receiver.
    pub const RECEIVED = internal(
        "insights.agent.receiver.accepted",
        "{item}",
        Instrument::Counter,
        "Data points, spans and log records that the receiver accepted from the platform and its apps.",
        &[SIGNAL],
    );

    /// Requests rejected by the receiver.
    pub const RECEIVER_REFUSED = internal(
        "insights.agent.receiver.refused",
        "{request}",
        Instrument::Counter,
        "Requests that the receiver rejected.",
        &[REJECTION_REASON],
    );

    /// CPU time of the agent.
    pub const OWN_CPU_TIME = internal(
        "insights.agent.process.cpu.time",
        "s",
        Instrument::Counter,
        "CPU time, in all modes, used by the process of the agent. The window runs in a separate \
         process, which is not included.",
        &[],
    );

    /// Memory of the agent.
    pub const OWN_MEMORY_USAGE = internal(
        "insights.agent.process.memory.usage",
        "By",
        Instrument::UpDownCounter,
        "Physical memory of the process of the agent (Windows: working set; Linux: resident set).",
        &[],
    );
}
