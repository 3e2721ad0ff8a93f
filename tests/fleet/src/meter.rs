//! Cumulative metrics with simulated times, in the form that the SDK exports, from the same tables.

use std::collections::BTreeMap;

use insights_agent::otlp::Signal;
use insights_agent::pipeline::queue::NewBatch;
use insights_agent::signals::logs::SCHEMA_URL;
use insights_agent::signals::metrics::{Instrument, Metric};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric as ProtoMetric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// Attributes of a data point.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a str)];

#[derive(Debug, Clone, Default)]
struct Point {
    value: f64,
    count: u64,
    buckets: Vec<u64>,
}

/// Index of a metric in its table, and the attributes of a data point.
type Key = (usize, Vec<(&'static str, String)>);

/// Measurements of one program since its start.
#[derive(Debug)]
pub(crate) struct Meter {
    resource: Resource,
    start: Timestamp,
    metrics: Vec<&'static Metric>,
    points: BTreeMap<Key, Point>,
}

impl Meter {
    pub(crate) fn new(
        resource: Resource,
        start: Timestamp,
        metrics: impl IntoIterator<Item = &'static Metric>,
    ) -> Self {
        Self { resource, start, metrics: metrics.into_iter().collect(), points: BTreeMap::new() }
    }

    fn point(&mut self, metric: &Metric, attributes: Attributes<'_>) -> &mut Point {
        let index = self.metrics.iter().position(|one| one.name == metric.name).expect("a metric of the table");
        let attributes = attributes.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        self.points.entry((index, attributes)).or_default()
    }

    /// Adds to a sum.
    pub(crate) fn add(&mut self, metric: &Metric, attributes: Attributes<'_>, value: f64) {
        self.point(metric, attributes).value += value;
    }

    /// Sets a gauge or an up-down counter.
    pub(crate) fn set(&mut self, metric: &Metric, attributes: Attributes<'_>, value: f64) {
        self.point(metric, attributes).value = value;
    }

    /// Records a value in a histogram.
    pub(crate) fn record(&mut self, metric: &Metric, attributes: Attributes<'_>, value: f64) {
        let Instrument::Histogram(bounds) = metric.instrument else { return };
        let point = self.point(metric, attributes);
        point.buckets.resize(bounds.len() + 1, 0);
        point.buckets[bounds.partition_point(|bound| *bound < value)] += 1;
        point.value += value;
        point.count += 1;
    }

    /// Returns the number of time series in a database. A histogram has one per bound, and three
    /// more.
    pub(crate) fn series(&self) -> u64 {
        let series =
            self.points.values().map(|point| if point.buckets.is_empty() { 1 } else { point.buckets.len() + 2 });
        series.sum::<usize>() as u64
    }

    /// Returns the export request for a time.
    pub(crate) fn export(&self, now: Timestamp) -> NewBatch {
        let mut scopes: Vec<(&str, Vec<ProtoMetric>)> = Vec::new();
        for (index, metric) in self.metrics.iter().enumerate() {
            let points: Vec<_> = self.points.iter().filter(|((of, _), _)| *of == index).collect();
            if points.is_empty() {
                continue;
            }
            let proto = ProtoMetric {
                name: metric.name.to_owned(),
                description: metric.description.to_owned(),
                unit: metric.unit.to_owned(),
                data: Some(self.data(metric, points.iter().map(|((_, key), point)| (key.as_slice(), *point)), now)),
                ..ProtoMetric::default()
            };
            match scopes.iter_mut().find(|(scope, _)| *scope == metric.scope) {
                Some((_, metrics)) => metrics.push(proto),
                None => scopes.push((metric.scope, vec![proto])),
            }
        }
        let scope_metrics = scopes.into_iter().map(|(name, metrics)| ScopeMetrics {
            scope: Some(InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() }),
            metrics,
            schema_url: SCHEMA_URL.to_owned(),
        });
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: scope_metrics.collect(),
                schema_url: SCHEMA_URL.to_owned(),
            }],
        };
        let nanos = nanos(now).cast_signed();
        NewBatch {
            signal: Signal::Metrics,
            consent: None,
            items: u32::try_from(self.points.len()).unwrap_or(u32::MAX),
            oldest_unix_nano: nanos,
            newest_unix_nano: nanos,
            payload: request.encode_to_vec(),
        }
    }

    fn data<'a>(
        &self,
        metric: &Metric,
        points: impl Iterator<Item = (&'a [(&'static str, String)], &'a Point)>,
        now: Timestamp,
    ) -> Data {
        let (start_time_unix_nano, time_unix_nano) = (nanos(self.start), nanos(now));
        if let Instrument::Histogram(bounds) = metric.instrument {
            let data_points = points.map(|(key, point)| HistogramDataPoint {
                attributes: attributes(key),
                start_time_unix_nano,
                time_unix_nano,
                count: point.count,
                sum: Some(point.value),
                bucket_counts: point.buckets.clone(),
                explicit_bounds: bounds.to_vec(),
                ..HistogramDataPoint::default()
            });
            let aggregation_temporality = AggregationTemporality::Cumulative.into();
            return Data::Histogram(Histogram { data_points: data_points.collect(), aggregation_temporality });
        }
        let data_points = points.map(|(key, point)| NumberDataPoint {
            attributes: attributes(key),
            start_time_unix_nano,
            time_unix_nano,
            value: Some(number_data_point::Value::AsDouble(point.value)),
            ..NumberDataPoint::default()
        });
        let data_points = data_points.collect();
        if metric.instrument == Instrument::Gauge {
            return Data::Gauge(Gauge { data_points });
        }
        let is_monotonic = metric.instrument == Instrument::Counter;
        Data::Sum(Sum { data_points, aggregation_temporality: AggregationTemporality::Cumulative.into(), is_monotonic })
    }
}

/// Converts text attributes to OTLP.
pub(crate) fn attributes(of: &[(&'static str, String)]) -> Vec<KeyValue> {
    of.iter().map(|(key, value)| text(key, value)).collect()
}

/// Converts a text attribute to OTLP.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

/// Converts a time to OTLP: nanoseconds since 1970.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}
