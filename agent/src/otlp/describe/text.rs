//! Requests for people: a head line for each, then a line for each item; a resource in full when it is new or changed.
//!
//! No line is longer than [`WIDTH`] characters, and nothing that arrives can reach the terminal as a control character.

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

/// Longest line, in characters.
const WIDTH: usize = 160;
/// What a longer line ends with.
const CUT: &str = "...";
/// Widest column of names: longer ones just take their room.
const NAME_COLUMN: usize = 56;
/// Widest column of values: what is wider (histograms) just takes its room.
const VALUE_COLUMN: usize = 16;
/// Senders whose resource is remembered; with more, all are forgotten and printed anew.
const SENDERS: usize = 1024;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const YELLOW: &str = "33";

/// Prints requests, and remembers the resources that it has shown.
#[derive(Debug)]
pub(crate) struct Text {
    zone: TimeZone,
    colour: bool,
    /// Whether resources are printed.
    resources: bool,
    /// By host, service and service instance.
    shown: HashMap<[String; 3], Vec<KeyValue>>,
}

impl Text {
    pub(crate) fn new(zone: TimeZone, colour: bool) -> Self {
        Self { zone, colour, resources: true, shown: HashMap::new() }
    }

    /// Prints items only, without the resources that they come from.
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
        // The head line names the sender of the first resource; another one has a line of its own.
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

    /// Prints the resource in full unless its sender had the same one before, in whatever order.
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
        if self.shown.len() >= SENDERS {
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

/// Where lines go.
struct Out<'a> {
    colour: bool,
    print: &'a mut dyn FnMut(&str),
}

impl Out<'_> {
    /// Prints a line, without spaces at its end, and cut to the width in front of `end`.
    fn line(&mut self, colour: &str, line: &str, end: &str) {
        let clean = line.trim_end().chars().map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        });
        let mut line: String = clean.clone().take(WIDTH + 1).collect();
        let room = WIDTH - end.len();
        if line.chars().count() > room {
            line = clean.take(room - CUT.len()).collect();
            line.push_str(CUT);
        }
        line.push_str(end);
        if self.colour && !colour.is_empty() {
            line = format!("\x1b[{colour}m{line}\x1b[0m");
        }
        (self.print)(&line);
    }
}

/// Width of the longest text that is not wider than a column may be.
fn column<'a>(texts: impl Iterator<Item = &'a str>, widest: usize) -> usize {
    texts.map(|text| text.chars().count()).filter(|width| *width <= widest).max().unwrap_or_default()
}

struct Row {
    name: String,
    value: String,
    attributes: String,
}

/// A line for each data point, with names and values in columns.
fn metrics<'a>(metrics: impl Iterator<Item = &'a Metric>, out: &mut Out) {
    let rows: Vec<Row> = metrics.flat_map(rows).collect();
    let names = column(rows.iter().map(|row| row.name.as_str()), NAME_COLUMN);
    let values = column(rows.iter().map(|row| row.value.as_str()), VALUE_COLUMN);
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
            // OTLP: the quantiles 0 and 1 are the minimum and the maximum.
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
        // A whole number without dimension is a count, not a share.
        Some(Number::AsInt(value)) if matches!(unit, "" | "1") => value.to_string(),
        Some(Number::AsInt(value)) => quantity(value as f64, unit),
        Some(Number::AsDouble(value)) => quantity(value, unit),
        None => "no value".to_owned(),
    }
}

/// A line for each span, with names and durations in columns.
fn spans<'a>(spans: impl Iterator<Item = &'a Span> + Clone, out: &mut Out) {
    let names = column(spans.clone().map(|span| span.name.as_str()), NAME_COLUMN);
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

/// Attributes with the end of their names, if it is theirs alone: `system.memory.state` becomes `state`, and
/// `ioconnect.app.name`, whose last part says too little, `app.name`.
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

/// A value as it is printed.
pub(crate) fn show(value: Option<&AnyValue>) -> String {
    match json::any(value) {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value with its UCUM unit, for people: `By` in powers of 1024, shares in percent, seconds as a duration.
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
            // Braces hold what UCUM calls an annotation, as in `{process}`.
            let unit: String = unit.chars().filter(|c| !matches!(c, '{' | '}')).collect();
            format!("{} {unit}", rounded(value, 3)).trim_end().to_owned()
        }
    }
}

fn bytes(value: f64) -> String {
    let mut value = value;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // 1023.95 would be rounded to 1024.
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
        // Rounded to the smaller unit first, so that it never says 60 minutes.
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

/// A number with at most so many decimals; one that would vanish or fill the line is written with an exponent.
fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let vanishes = value != 0.0 && text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if vanishes || (value.is_finite() && value.abs() >= 1e15) {
        return format!("{value:.2e}");
    }
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `1 item`, `2 items`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
