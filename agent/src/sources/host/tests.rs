//! Scenario: the host source runs on this machine and exports through the OpenTelemetry SDK; the
//! values are compared with those of the operating system.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

use super::*;
use crate::signals::metrics::{self, Instrument};

/// Maximum time that a test waits for an expected result.
const LIMIT: Duration = Duration::from_mins(1);

/// One exported point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) kind: Instrument,
    pub(crate) attributes: Attributes,
    pub(crate) value: f64,
}

/// A meter provider that exports on demand, into memory.
pub(crate) struct Exports {
    pub(crate) provider: SdkMeterProvider,
    points: Arc<Mutex<Vec<Point>>>,
}

impl Exports {
    pub(crate) fn new() -> Self {
        let points = Arc::new(Mutex::new(Vec::new()));
        let reader =
            PeriodicReader::builder(Memory(Arc::clone(&points))).with_interval(Duration::from_hours(24)).build();
        Self { provider: SdkMeterProvider::builder().with_reader(reader).build(), points }
    }

    /// Exports now and returns all data points.
    pub(crate) fn export(&self) -> Vec<Point> {
        self.points.lock().clear();
        self.provider.force_flush().unwrap();
        std::mem::take(&mut self.points.lock())
    }
}

#[derive(Debug)]
struct Memory(Arc<Mutex<Vec<Point>>>);

impl PushMetricExporter for Memory {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        for scope in metrics.scope_metrics() {
            for metric in scope.metrics() {
                let (kind, values) = match metric.data() {
                    AggregatedMetrics::F64(data) => read(data, |value| value),
                    AggregatedMetrics::U64(data) => read(data, |value| value as f64),
                    AggregatedMetrics::I64(data) => read(data, |value| value as f64),
                };
                self.0.lock().extend(values.into_iter().map(|(attributes, value)| Point {
                    scope: scope.scope().name().to_owned(),
                    name: metric.name().to_owned(),
                    unit: metric.unit().to_owned(),
                    kind,
                    attributes,
                    value,
                }));
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

type Attributes = BTreeMap<String, String>;

fn read<T: Copy>(data: &MetricData<T>, value: fn(T) -> f64) -> (Instrument, Vec<(Attributes, f64)>) {
    let texts = |attributes: &mut dyn Iterator<Item = &KeyValue>| {
        attributes.map(|pair| (pair.key.to_string(), pair.value.to_string())).collect::<Attributes>()
    };
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points().map(|p| (texts(&mut p.attributes()), value(p.value())));
            (Instrument::Gauge, points.collect())
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points().map(|p| (texts(&mut p.attributes()), value(p.value())));
            let kind = if sum.is_monotonic() { Instrument::Counter } else { Instrument::UpDownCounter };
            (kind, points.collect())
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points().map(|p| (texts(&mut p.attributes()), value(p.sum())));
            (Instrument::Histogram(&[]), points.collect())
        }
        MetricData::ExponentialHistogram(_) => panic!("the agent has no exponential histograms"),
    }
}

/// Waits until `ready` returns a value.
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asserts that every point belongs to a metric of the table, with the unit, instrument and scope
/// of the table, and only with attributes of the table.
pub(crate) fn assert_as_documented(points: &[Point]) {
    for point in points {
        let metric = metrics::all().find(|metric| metric.name == point.name).unwrap();
        assert_eq!((metric.unit, metric.instrument.name()), (point.unit.as_str(), point.kind.name()), "{point:?}");
        assert_eq!(metric.scope, point.scope);
        assert!(point.attributes.keys().all(|key| metric.attributes.iter().any(|a| a.name == key)), "{point:?}");
    }
}

fn settings() -> HostSettings {
    HostSettings {
        sample_interval: crate::config::Period::from_millis(10),
        one_per_machine: false,
        ..HostSettings::default()
    }
}

fn value(points: &[Point], name: &str, attributes: &[&str]) -> Option<f64> {
    let matches = |point: &&Point| {
        point.name == name && attributes.iter().all(|text| point.attributes.values().any(|value| value == text))
    };
    points.iter().find(matches).map(|point| point.value)
}

/// The metrics of this machine are as documented and agree with /proc.
#[cfg(not(windows))]
#[test]
fn host_metrics_agree_with_procfs() {
    let exports = Exports::new();
    let source = HostSource::new(&exports.provider, &settings(), &Pause::default()).unwrap();
    wait_for("a share of the CPU", || source.latest().cpu);
    let points = exports.export();
    assert_as_documented(&points);
    let get = |name, attributes: &[&str]| value(&points, name, attributes).unwrap();

    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib: f64 = meminfo.lines().next().unwrap().split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    let limit = get("system.memory.limit", &[]);
    assert!((limit - kib * 1024.0).abs() < 1.0);
    let used = get("system.memory.usage", &["used"]);
    assert!((used + get("system.memory.usage", &["free"]) - limit).abs() < 1.0);
    assert!((get("system.memory.utilization", &[]) - used / limit).abs() < 0.01);

    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    assert!((get("system.cpu.logical.count", &[]) - cpus as f64).abs() < 0.1);
    assert!((0.0..=1.0).contains(&get("system.cpu.utilization", &[])));
    assert!(get("ioconnect.host.cpu.time_above_threshold", &["0.9"]) >= 0.0);
    assert!(get("ioconnect.host.memory.time_above_threshold", &["0.9"]) >= 0.0);

    let volume = get("system.filesystem.limit", &["/"]);
    let parts = get("system.filesystem.usage", &["/", "used"]) + get("system.filesystem.usage", &["/", "free"]);
    assert!((parts - volume).abs() < 1.0 && volume > 0.0);
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!(uptime + 0.1 >= get("system.uptime", &[]) && get("system.uptime", &[]) > uptime - LIMIT.as_secs_f64());
    assert!(points.iter().all(|point| point.attributes.get("network.interface.name").is_none_or(|name| name != "lo")));
}

/// Counters are exported as 0 from the first export on, before there is anything to count, so that
/// rates work.
#[test]
fn counters_start_at_zero() {
    let exports = Exports::new();
    let hourly = HostSettings {
        sample_interval: crate::config::Period::from_secs(3600),
        // An agent on this machine may hold the lock.
        one_per_machine: false,
        ..HostSettings::default()
    };
    let _source = HostSource::new(&exports.provider, &hourly, &Pause::default()).unwrap();
    let points = exports.export();
    for name in ["ioconnect.host.cpu.time_above_threshold", "ioconnect.host.memory.time_above_threshold"] {
        assert_eq!(value(&points, name, &["0.9"]), Some(0.0), "{name}");
    }
}

/// A dropped source leaves no thread and exports no more points, even while the provider lives on.
#[test]
fn dropped_source_exports_nothing() {
    let exports = Exports::new();
    let source = HostSource::new(&exports.provider, &settings(), &Pause::default()).unwrap();
    wait_for("a sample", || source.latest().memory);
    let weak = Arc::downgrade(&source.aggregate);
    drop(source);
    assert!(weak.upgrade().is_none(), "the thread has released it");
    let left: Vec<Point> = exports.export().into_iter().filter(|p| p.name != "system.cpu.logical.count").collect();
    assert_eq!(left, []);
}
