//! Metrics and spans that io.Insights, a part of the io.Connect platform, sends through the agent.
//! The agent adds its own attributes to their resource.
//!
//! Names, units and kinds:
//! <https://docs.interop.io/insights/signals/metrics/io-connect-desktop/index.html>.
//! `insights_trace_*` are derived from spans by `countMetric`, `resultMetric` and `durationMetric`
//! of the trace settings. Their attributes are `source` and the span's filtering context (`method`,
//! `url`).

use insights_agent::resource::Resource;
use insights_agent::signals::metrics::{Instrument, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;

use crate::company::Desk;
use crate::meter::text;

const SCOPE: &str = "io.Connect Desktop";
/// OpenTelemetry's default bounds of a histogram.
const BOUNDS: &[f64] =
    &[0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10_000.0];

const fn metric(name: &'static str, unit: &'static str, instrument: Instrument) -> Metric {
    Metric { name, unit, instrument, description: "", attributes: &[], scope: SCOPE }
}

pub(crate) const APP_STARTED: Metric = metric("app_started", "", Instrument::Counter);
pub(crate) const APP_COUNT: Metric = metric("app_count", "", Instrument::UpDownCounter);
pub(crate) const APP_ERROR: Metric = metric("app_error", "", Instrument::Counter);
pub(crate) const APP_CRASH: Metric = metric("app_crash", "", Instrument::Counter);
pub(crate) const APP_DURATION: Metric = metric("app_duration", "ms", Instrument::Gauge);
pub(crate) const APP_STARTUP: Metric = metric("app_startup", "ms", Instrument::Gauge);
pub(crate) const APP_CPU: Metric = metric("app_cpu", "%", Instrument::Gauge);
pub(crate) const APP_MEMORY: Metric = metric("app_memory", "kb", Instrument::Gauge);
pub(crate) const PLATFORM_ERROR: Metric = metric("platform_error", "", Instrument::Counter);
pub(crate) const PLATFORM_STARTUP: Metric = metric("platform_startup", "ms", Instrument::Gauge);
pub(crate) const SYSTEM_CPU: Metric = metric("system_cpu", "%", Instrument::Gauge);
pub(crate) const SYSTEM_MEMORY: Metric = metric("system_memory", "gb", Instrument::Gauge);
pub(crate) const WORKSPACE_SELECTED: Metric = metric("workspace_selected", "", Instrument::Counter);
pub(crate) const WORKSPACE_STARTUP: Metric = metric("workspace_startup", "ms", Instrument::Gauge);
pub(crate) const LAYOUT_STARTUP: Metric = metric("layout_startup", "ms", Instrument::Gauge);
pub(crate) const TRACE_COUNT: Metric = metric("insights_trace_count", "", Instrument::Counter);
pub(crate) const TRACE_RESULT: Metric = metric("insights_trace_result", "", Instrument::Counter);
pub(crate) const TRACE_DURATION: Metric = metric("insights_trace_duration", "", Instrument::Histogram(BOUNDS));

/// The metrics of io.Insights that the simulated platforms publish.
pub const METRICS: &[Metric] = &[
    APP_STARTED,
    APP_COUNT,
    APP_ERROR,
    APP_CRASH,
    APP_DURATION,
    APP_STARTUP,
    APP_CPU,
    APP_MEMORY,
    PLATFORM_ERROR,
    PLATFORM_STARTUP,
    SYSTEM_CPU,
    SYSTEM_MEMORY,
    WORKSPACE_SELECTED,
    WORKSPACE_STARTUP,
    LAYOUT_STARTUP,
    TRACE_COUNT,
    TRACE_RESULT,
    TRACE_DURATION,
];

/// Name of the span of an interop call.
pub(crate) const INVOKE: &str = "interopio.api.interop.invoke";
/// Name of the span of a request to a backend.
pub(crate) const FETCH: &str = "interopio.api.instrumentation.fetch";

/// Returns the platform's resource after the agent: its own attributes, and the agent's attributes
/// that it lacks.
pub(crate) fn resource(agent: &Resource, desk: &Desk, instance: &str) -> ProtoResource {
    let own = [
        ("service.name", SCOPE),
        ("service.instance.id", instance),
        ("service.version", "10.1.0"),
        ("machine", &desk.host),
        ("user", &desk.user),
        ("user.id", &desk.user),
        ("osUser", &desk.user),
        ("env", desk.environment),
        ("region", desk.region),
        ("host", "iocd"),
        ("platformVersion", "10.1.0"),
    ];
    let added = agent.iter().filter(|(key, _)| own.iter().all(|(own, _)| own != key));
    ProtoResource {
        attributes: own.into_iter().chain(added).map(|(key, value)| text(key, value)).collect(),
        ..ProtoResource::default()
    }
}
