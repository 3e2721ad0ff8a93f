//! Renders requests for people: a heading for each request, then one line for each item. A resource
//! is printed in full when it is new or has changed.
//!
//! No line is longer than [`MAX_LINE_CHARS`] characters, and control characters in received data
//! never reach the terminal.

use std::collections::HashMap;
use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, SummaryDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use opentelemetry_semantic_conventions::attribute::{HOST_NAME, SERVICE_INSTANCE_ID, SERVICE_NAME};
use serde_json::Value;

use super::json_lines as json;
use super::{Received, Request};
use crate::signals::logs::{APP_NAME, INSTANCE_ID, LOG_CATEGORY};

/// Maximum length of a line in characters.
const MAX_LINE_CHARS: usize = 160;
/// End of a shortened line.
const ELLIPSIS: &str = "...";
/// Maximum width of the name column. Longer names are not aligned.
const MAX_NAME_COLUMN: usize = 56;
/// Maximum width of the value column. Longer values (histograms) are not aligned.
const MAX_VALUE_COLUMN: usize = 16;
/// Maximum number of senders whose resource is remembered. When it is reached, all are forgotten
/// and printed again.
const MAX_SENDERS: usize = 1024;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const YELLOW: &str = "33";

/// Prints requests, and remembers the resources that it has printed.
#[derive(Debug)]
pub(crate) struct Text {
    zone: TimeZone,
    colour: bool,
    /// Whether resources are printed.
    resources: bool,
    /// The resources that were printed, by host, service and service instance.
    shown: HashMap<[String; 3], Vec<KeyValue>>,
}

impl Text {
    pub(crate) fn new(zone: TimeZone, colour: bool) -> Self {
        Self { zone, colour, resources: true, shown: HashMap::new() }
    }

    /// Creates a printer that does not print resources.
    pub(crate) fn items_only(zone: TimeZone) -> Self {
        Self { resources: false, ..Self::new(zone, false) }
    }

    /// Prints a request.
    pub(crate) fn request(&mut self, received: &Received, print: &mut dyn FnMut(&str)) {
        let mut out = Out { colour: self.colour, print };
        let head = format!(
            "{} {:<7} {} {}",
            self.clock(received.at),
            received.request.signal().name(),
            received.transport.name(),
            plural(received.request.items() as u64, "item"),
        );
        // The heading names the sender of the first resource. Each further resource gets its own
        // line.
        let mut head = Some(head);
        let mut sender = |text: &mut Self, resource: Option<&Resource>, out: &mut Out| {
            let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
            let name = [HOST_NAME, SERVICE_NAME].map(|key| find(attributes, key)).into_iter().flatten();
            let name = name.collect::<Vec<_>>().join(" / ");
            match head.take() {
                Some(head) => out.line(BOLD, &format!("{head}  {name}"), ""),
                None if name.is_empty() => out.line(BOLD, "  from a nameless sender", ""),
                None => out.line(BOLD, &format!("  from {name}"), ""),
            }
            text.resource(attributes, out);
        };
        match &received.request {
            Request::Metrics(request) => {
                for from in &request.resource_metrics {
                    sender(self, from.resource.as_ref(), &mut out);
                    metrics(from.scope_metrics.iter().flat_map(|scope| &scope.metrics), &mut out);
                }
            }
            Request::Traces(request) => {
                for from in &request.resource_spans {
                    sender(self, from.resource.as_ref(), &mut out);
                    spans(from.scope_spans.iter().flat_map(|scope| &scope.spans), &mut out);
                }
            }
            Request::Logs(request) => {
                for from in &request.resource_logs {
                    sender(self, from.resource.as_ref(), &mut out);
                    for record in from.scope_logs.iter().flat_map(|scope| &scope.log_records) {
                        self.log(record, &mut out);
                    }
                }
            }
        }
        if let Some(head) = head {
            out.line(BOLD, &head, "");
        }
    }

    /// Prints the resource in full, unless the sender had the same attributes before, in any order.
    fn resource(&mut self, attributes: &[KeyValue], out: &mut Out) {
        if !self.resources {
            return;
        }
        let key = [HOST_NAME, SERVICE_NAME, SERVICE_INSTANCE_ID].map(|key| find(attributes, key).unwrap_or_default());
        let mut sorted = attributes.to_vec();
        sorted.sort_by(|one, other| one.key.cmp(&other.key));
        let title = match self.shown.get(&key) {
            Some(before) if *before == sorted => return,
            None if attributes.is_empty() => return,
            Some(_) => "  resource, changed:",
            None => "  resource:",
        };
        if self.shown.len() >= MAX_SENDERS {
            self.shown.clear();
        }
        out.line(DIM, title, "");
        for one in attributes {
            out.line(DIM, &format!("    {} = {}", one.key, show(one.value.as_ref())), "");
        }
        self.shown.insert(key, sorted);
    }

    fn log(&self, record: &LogRecord, out: &mut Out) {
        let nanos = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
        let time = Timestamp::from_nanosecond(i128::from(nanos)).map(|time| self.clock(time)).unwrap_or_default();
        let (severity, colour) = match record.severity_number {
            1..=4 => ("TRACE", DIM),
            5..=8 => ("DEBUG", DIM),
            9..=12 => ("INFO", ""),
            13..=16 => ("WARN", YELLOW),
            17..=20 => ("ERROR", RED),
            21..=24 => ("FATAL", RED),
            _ => (record.severity_text.as_str(), ""),
        };
        let origin = [LOG_CATEGORY, APP_NAME, INSTANCE_ID].map(|key| find(&record.attributes, key));
        let origin = origin.into_iter().flatten().collect::<Vec<_>>().join("/");
        let origin = if origin.is_empty() { origin } else { format!("{origin}  ") };
        let body = show(record.body.as_ref());
        let mut lines = body.lines();
        let first = lines.next().unwrap_or_default();
        let more = match lines.count() {
            0 => String::new(),
            more => format!(" (+{})", plural(more as u64, "line")),
        };
        out.line(colour, &format!("  {time} {severity:<5.5} {origin}{first}"), &more);
    }

    fn clock(&self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.zone.clone()).strftime("%H:%M:%S.%3f").to_string()
    }
}

/// Prints lines.
struct Out<'a> {
    colour: bool,
    print: &'a mut dyn FnMut(&str),
}

impl Out<'_> {
    /// Prints a line followed by `end`. The line is trimmed, and shortened so that both fit.
    fn line(&mut self, colour: &str, line: &str, end: &str) {
        let clean = line.trim_end().chars().map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        });
        let mut line: String = clean.clone().take(MAX_LINE_CHARS + 1).collect();
        let room = MAX_LINE_CHARS - end.len();
        if line.chars().count() > room {
            line = clean.take(room - ELLIPSIS.len()).collect();
            line.push_str(ELLIPSIS);
        }
        line.push_str(end);
        if self.colour && !colour.is_empty() {
            line = format!("\x1b[{colour}m{line}\x1b[0m");
        }
        (self.print)(&line);
    }
}

/// Returns the width of the longest text that is not wider than `max`.
fn column<'a>(texts: impl Iterator<Item = &'a str>, max: usize) -> usize {
    texts.map(|text| text.chars().count()).filter(|width| *width <= max).max().unwrap_or_default()
}

struct Row {
    name: String,
    value: String,
    attributes: String,
}

/// Prints one line for each data point, with names and values in columns.
fn metrics<'a>(metrics: impl Iterator<Item = &'a Metric>, out: &mut Out) {
    let rows: Vec<Row> = metrics.flat_map(rows).collect();
    let names = column(rows.iter().map(|row| row.name.as_str()), MAX_NAME_COLUMN);
    let values = column(rows.iter().map(|row| row.value.as_str()), MAX_VALUE_COLUMN);
    for Row { name, value, attributes } in rows {
        out.line("", &format!("  {name:<names$}  {value:>values$}  {attributes}"), "");
    }
}

fn rows(metric: &Metric) -> Vec<Row> {
    let unit = metric.unit.as_str();
    let row = |value: String, attributes: &[KeyValue]| Row {
        name: metric.name.clone(),
        value,
        attributes: short(attributes),
    };
    let spread = |count: u64, parts: [(&str, Option<f64>); 3]| {
        let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        parts.fold(format!("count {count}"), |mut text, (name, value)| {
            let _ = write!(text, "  {name} {}", quantity(value, unit));
            text
        })
    };
    match &metric.data {
        None => vec![row("no data".to_owned(), &[])],
        Some(Data::Gauge(data)) => data.data_points.iter().map(|p| row(number(p.value, unit), &p.attributes)).collect(),
        Some(Data::Sum(data)) => data.data_points.iter().map(|p| row(number(p.value, unit), &p.attributes)).collect(),
        Some(Data::Histogram(data)) => {
            let points = data.data_points.iter();
            points
                .map(|p| row(spread(p.count, [("sum", p.sum), ("min", p.min), ("max", p.max)]), &p.attributes))
                .collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            let points = data.data_points.iter();
            points
                .map(|p| row(spread(p.count, [("sum", p.sum), ("min", p.min), ("max", p.max)]), &p.attributes))
                .collect()
        }
        Some(Data::Summary(data)) => {
            let points = data.data_points.iter();
            // In OTLP the quantiles 0 and 1 are the minimum and the maximum.
            let quantile = |p: &SummaryDataPoint, wanted: f64| {
                let mut all = p.quantile_values.iter();
                all.find(|one| (one.quantile - wanted).abs() < f64::EPSILON).map(|one| one.value)
            };
            points
                .map(|p| {
                    let parts = [("sum", Some(p.sum)), ("min", quantile(p, 0.0)), ("max", quantile(p, 1.0))];
                    row(spread(p.count, parts), &p.attributes)
                })
                .collect()
        }
    }
}

fn number(value: Option<Number>, unit: &str) -> String {
    match value {
        // An integer without a unit is a count, not a ratio to be shown in percent.
        Some(Number::AsInt(value)) if matches!(unit, "" | "1") => value.to_string(),
        Some(Number::AsInt(value)) => quantity(value as f64, unit),
        Some(Number::AsDouble(value)) => quantity(value, unit),
        None => "no value".to_owned(),
    }
}

/// Prints one line for each span, with names and durations in columns.
fn spans<'a>(spans: impl Iterator<Item = &'a Span> + Clone, out: &mut Out) {
    let names = column(spans.clone().map(|span| span.name.as_str()), MAX_NAME_COLUMN);
    for span in spans {
        let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
        let code = span.status.as_ref().map_or(StatusCode::Unset, Status::code);
        let message = span.status.as_ref().map_or("", |status| &status.message);
        let status = if message.is_empty() {
            json::status_name(code).to_owned()
        } else {
            format!("{}: {message}", json::status_name(code))
        };
        let duration = quantity(nanos as f64 / 1e9, "s");
        let colour = if code == StatusCode::Error { RED } else { "" };
        out.line(colour, &format!("  {:<names$}  {duration:>9}  {status}", span.name), "");
    }
}

/// Returns attributes with shortened names: `system.memory.state` becomes `state`. A last part of
/// `name` or `id` is not specific enough, so `ioconnect.app.name` becomes `app.name`. A name stays
/// in full if two attributes would get the same short name.
fn short(attributes: &[KeyValue]) -> String {
    let parts: Vec<&str> = attributes.iter().map(|one| last_part(&one.key)).collect();
    let shown = attributes.iter().zip(&parts).map(|(one, part)| {
        let alone = parts.iter().filter(|other| *other == part).count() == 1;
        format!("{}={}", if alone { *part } else { one.key.as_str() }, show(one.value.as_ref()))
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn last_part(key: &str) -> &str {
    let mut dots = key.rmatch_indices('.').map(|(at, _)| at + 1);
    let last = dots.next().unwrap_or_default();
    match &key[last..] {
        "name" | "id" => &key[dots.next().unwrap_or_default()..],
        part => part,
    }
}

fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    attributes.iter().find(|one| one.key == key).map(|one| show(one.value.as_ref()))
}

/// Returns a value as text.
pub(crate) fn show(value: Option<&AnyValue>) -> String {
    match json::any(value) {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Formats a value with its UCUM unit for people: `By` in powers of 1024, ratios in percent,
/// seconds as a duration.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "By" => bytes(value),
        "By/s" => format!("{}/s", bytes(value)),
        "1" => format!("{} %", rounded(value * 100.0, 1)),
        "s" => duration(value),
        "ms" => duration(value / 1e3),
        "us" => duration(value / 1e6),
        "ns" => duration(value / 1e9),
        _ => {
            // In UCUM, text in braces is an annotation, as in `{process}`.
            let unit: String = unit.chars().filter(|c| !matches!(c, '{' | '}')).collect();
            format!("{} {unit}", rounded(value, 3)).trim_end().to_owned()
        }
    }
}

fn bytes(value: f64) -> String {
    let mut value = value;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // From 1023.95 on, one decimal would be rounded to 1024.
    while value.abs() >= 1023.95
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = next;
    }
    format!("{} {unit}", rounded(value, 1))
}

fn duration(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    let two = |large: f64, large_unit: &str, small: f64, small_unit: &str| {
        // Rounded to the smaller unit first, so that the result is never 60 minutes.
        let small_units = (seconds / small).round();
        let in_large = (large / small).round();
        let whole = (small_units / in_large).floor();
        format!("{whole:.0} {large_unit} {:.0} {small_unit}", small_units - whole * in_large)
    };
    match seconds {
        s if s == 0.0 || !s.is_finite() => format!("{s} s"),
        s if s >= DAY - MINUTE / 2.0 => two(DAY, "d", HOUR, "h"),
        s if s >= HOUR - 0.5 => two(HOUR, "h", MINUTE, "m"),
        s if s >= MINUTE - 0.05 => two(MINUTE, "m", 1.0, "s"),
        s if s.abs() >= 1.0 => format!("{} s", rounded(s, 1)),
        s if s.abs() >= 1e-3 => format!("{} ms", rounded(s * 1e3, 1)),
        s if s.abs() >= 1e-6 => format!("{} us", rounded(s * 1e6, 1)),
        s => format!("{} ns", rounded(s * 1e9, 1)),
    }
}

/// Formats a number with at most `decimals` decimals. A number that would become 0 or is very large
/// is written with an exponent.
fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let vanishes = value != 0.0 && text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if vanishes || (value.is_finite() && value.abs() >= 1e15) {
        return format!("{value:.2e}");
    }
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Formats a count with its noun, as in `1 item` and `2 items`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
