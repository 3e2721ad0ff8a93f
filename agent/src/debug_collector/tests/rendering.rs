//! Scenario: the debug collector prints requests as text and as JSON lines.

use opentelemetry_proto::tonic::common::v1::ArrayValue;
use serde_json::{Value, json};

use super::super::text::{Text, quantity};
use super::*;

fn received(request: Request) -> Received {
    let at = Timestamp::from_nanosecond(i128::from(TIME) + 110_000_000).unwrap();
    Received { at, transport: Transport::Grpc, request }
}

fn printed(requests: Vec<Request>, colour: bool) -> String {
    let mut text = Text::new(TimeZone::UTC, colour);
    let mut lines = Vec::new();
    for request in requests {
        text.request(&received(request), &mut |line| lines.push(line.to_owned()));
    }
    lines.join("\n")
}

fn objects(request: &Request) -> Vec<Value> {
    let mut lines = Vec::new();
    json_lines::request(request, &mut |line| lines.push(serde_json::from_str(line).unwrap()));
    lines
}

/// Guarantees: metrics of every type have one line for each data point, in columns, with readable
/// units.
#[test]
fn text_shows_metrics_in_columns() {
    insta::assert_snapshot!(printed(vec![Request::Metrics(every_metric())], false), @r"
    05:06:08.000 metrics gRPC 7 items  desk-7 / insights-agent
      resource:
        service.name = insights-agent
        host.name = desk-7
        service.version = 1
      system.memory.usage       3 GiB  state=used
      system.memory.usage     512 MiB  state=free
      system.cpu.utilization   12.3 %  logical_number=0 a.state=x b.state=y
      system.uptime           1 h 2 m
      app.start               count 3  sum 1.5 s  min 12 ms  max 1.2 s  app.name=blotter
      queue.wait              count 2  sum 96 ms
      rpc.size                count 4  sum 20 call  min 1 call  max 9 call
      empty                   no data
    ");
}

/// Guarantees: a log record has a line with time, severity, origin, the first line of the body, and
/// the number of further lines.
#[test]
fn text_shows_one_line_per_log_record() {
    let origin = [
        ("ioconnect.log.category", "interop"),
        ("ioconnect.app.name", "blotter"),
        ("ioconnect.instance.id", "9816_10"),
    ];
    let records = vec![
        LogRecord { attributes: attributes(&origin), ..record(9, "INFO", "started") },
        LogRecord { attributes: attributes(&origin[..1]), ..record(17, "ERROR", "failed\n at a\n at b\n at c") },
        LogRecord { time_unix_nano: 0, ..record(0, "Notice of something", "observed only\nand") },
        LogRecord { body: None, ..record(13, "WARN", "") },
        record(5, "DEBUG", &format!("{}\nmore", "long ".repeat(50))),
        record(24, "FATAL", "tab\tescape\x1b[2J"),
    ];
    insta::assert_snapshot!(printed(vec![Request::Logs(logs(records))], false), @r"
    05:06:08.000 logs    gRPC 6 items  desk-7 / insights-agent
      resource:
        service.name = insights-agent
        host.name = desk-7
        service.version = 1
      05:06:07.890 INFO  interop/blotter/9816_10  started
      05:06:07.890 ERROR interop  failed (+3 lines)
      05:06:07.890 Notic observed only (+1 line)
      05:06:07.890 WARN
      05:06:07.890 DEBUG long long long long long long long long long long long long long long long long long long long long long long long long long l... (+1 line)
      05:06:07.890 FATAL tab escape?[2J
    ");
}

/// Guarantees: a span has a line with name, duration and status.
#[test]
fn text_shows_span_duration_and_status() {
    insta::assert_snapshot!(printed(vec![Request::Traces(traces())], false), @r"
    05:06:08.000 traces  gRPC 2 items  desk-7 / insights-agent
      resource:
        service.name = insights-agent
        host.name = desk-7
        service.version = 1
      GET /quotes     12.3 ms  unset
      open blotter    1 m 1 s  error: timeout
    ");
}

/// Guarantees: a resource is printed in full once, and again when it changes. A second resource in
/// a request has its own line.
#[test]
fn text_shows_resource_when_new_or_changed() {
    let one = |version: &str| {
        let mut request = logs(vec![record(9, "INFO", "hello")]);
        request.resource_logs[0].resource = Some(resource(version));
        request
    };
    let mut two = one("2");
    two.resource_logs.push(ResourceLogs {
        resource: Some(Resource { attributes: attributes(&[("service.name", "other")]), ..Resource::default() }),
        ..ResourceLogs::default()
    });
    let nobody = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs::default()] };
    let mut otherwise = one("1");
    otherwise.resource_logs[0].resource.iter_mut().for_each(|resource| resource.attributes.reverse());
    let requests = [one("1"), otherwise, two, nobody, ExportLogsServiceRequest::default()];
    insta::assert_snapshot!(printed(requests.into_iter().map(Request::Logs).collect(), false), @r"
    05:06:08.000 logs    gRPC 1 item  desk-7 / insights-agent
      resource:
        service.name = insights-agent
        host.name = desk-7
        service.version = 1
      05:06:07.890 INFO  hello
    05:06:08.000 logs    gRPC 1 item  desk-7 / insights-agent
      05:06:07.890 INFO  hello
    05:06:08.000 logs    gRPC 1 item  desk-7 / insights-agent
      resource, changed:
        service.name = insights-agent
        host.name = desk-7
        service.version = 2
      05:06:07.890 INFO  hello
      from other
      resource:
        service.name = other
    05:06:08.000 logs    gRPC 0 items
    05:06:08.000 logs    gRPC 0 items
    ");
}

/// Guarantees: no line is longer than 160 characters, not counting colours, and the number of
/// further lines is not cut off.
#[test]
fn long_lines_are_shortened() {
    let long = record(9, "INFO", &format!("{}\nmore", "\u{e9}".repeat(500)));
    let text = printed(vec![Request::Logs(logs(vec![long]))], false);
    let line = text.lines().last().unwrap();
    assert_eq!(line.chars().count(), 160);
    assert!(line.ends_with("\u{e9}... (+1 line)"), "{line}");
}

/// Guarantees: colours apply to whole lines. Headings are bold, errors are red, other records have
/// no colour.
#[test]
fn colours_wrap_whole_lines() {
    let records = vec![record(9, "INFO", "fine"), record(17, "ERROR", "broken")];
    let text = printed(vec![Request::Logs(logs(records))], true);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "\x1b[1m05:06:08.000 logs    gRPC 2 items  desk-7 / insights-agent\x1b[0m");
    assert_eq!(lines[lines.len() - 2], "  05:06:07.890 INFO  fine");
    assert_eq!(lines[lines.len() - 1], "\x1b[31m  05:06:07.890 ERROR broken\x1b[0m");
}

/// Guarantees: values in every converted unit are readable, also at the limits of their ranges.
#[test]
fn quantities_are_formatted_with_units() {
    for (value, unit, wanted) in [
        (0.0, "By", "0 B"),
        (1023.0, "By", "1023 B"),
        (1024.0, "By", "1 KiB"),
        (1024.0 * 1023.99, "By", "1 MiB"),
        (1.5 * 1024.0 * 1024.0 * 1024.0, "By", "1.5 GiB"),
        (-2048.0, "By/s", "-2 KiB/s"),
        (0.1234, "1", "12.3 %"),
        (1.0, "1", "100 %"),
        (0.0, "s", "0 s"),
        (0.000_000_5, "s", "500 ns"),
        (0.0125, "s", "12.5 ms"),
        (59.9, "s", "59.9 s"),
        (59.99, "s", "1 m 0 s"),
        (61.0, "s", "1 m 1 s"),
        (3599.9, "s", "1 h 0 m"),
        (3725.0, "s", "1 h 2 m"),
        (86_399.0, "s", "1 d 0 h"),
        (200_000.0, "s", "2 d 8 h"),
        (1500.0, "ms", "1.5 s"),
        (f64::NAN, "s", "NaN s"),
        (f64::INFINITY, "s", "inf s"),
        (12.0, "{process}", "12 process"),
        (3.5, "{packet}/s", "3.5 packet/s"),
        (42.0, "", "42"),
        (0.000_01, "Cel", "1.00e-5 Cel"),
        (1e18, "", "1.00e18"),
    ] {
        assert_eq!(quantity(value, unit), wanted, "{value} {unit}");
    }
}

/// Guarantees: a log record is an object with times as strings and values with their types. Missing
/// fields are omitted.
#[test]
fn json_lines_show_log_records_with_types() {
    let mut record = record(9, "INFO", "hello");
    let typed = [
        ("int", Any::IntValue(-7)),
        ("bool", Any::BoolValue(true)),
        ("double", Any::DoubleValue(0.5)),
        ("nan", Any::DoubleValue(f64::NAN)),
        ("bytes", Any::BytesValue(vec![1, 0xfe])),
        ("array", Any::ArrayValue(ArrayValue { values: vec![text("a"), AnyValue { value: None }] })),
    ];
    record.attributes = typed
        .map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            key_strindex: 0,
        })
        .to_vec();
    let bare = LogRecord { trace_id: vec![0xab; 16], event_name: "app.crash".to_owned(), ..LogRecord::default() };
    let resource = json!({"service.name": "insights-agent", "host.name": "desk-7", "service.version": "1"});
    assert_eq!(
        objects(&Request::Logs(logs(vec![record, bare]))),
        [
            json!({
                "signal": "logs",
                "resource": resource,
                "scope": "tests",
                "time_unix_nano": "1772600767890000000",
                "observed_time_unix_nano": "1772600767890000001",
                "severity_number": 9,
                "severity_text": "INFO",
                "body": "hello",
                "attributes": {
                    "int": -7, "bool": true, "double": 0.5, "nan": "NaN", "bytes": "01fe", "array": ["a", null],
                },
            }),
            json!({
                "signal": "logs",
                "resource": resource,
                "scope": "tests",
                "time_unix_nano": "0",
                "observed_time_unix_nano": "0",
                "severity_number": 0,
                "severity_text": "",
                "body": null,
                "attributes": {},
                "event_name": "app.crash",
                "trace_id": "abababababababababababababababab",
            }),
        ]
    );
}

/// Guarantees: metrics of every type have one object for each data point.
#[test]
fn json_lines_show_every_metric_type() {
    let all = objects(&Request::Metrics(every_metric()));
    let pick =
        |index: usize, keys: &[&str]| -> Vec<Value> { keys.iter().map(|key| all[index][*key].clone()).collect() };
    let kinds: Vec<&str> = all.iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["sum", "sum", "gauge", "gauge", "histogram", "exponential_histogram", "summary"]);
    assert_eq!(
        all[0],
        json!({
            "signal": "metrics",
            "resource": {"service.name": "insights-agent", "host.name": "desk-7", "service.version": "1"},
            "scope": "tests",
            "name": "system.memory.usage",
            "unit": "By",
            "description": "",
            "type": "sum",
            "monotonic": false,
            "temporality": "cumulative",
            "value": 3_221_225_472_u64,
            "start_time_unix_nano": "0",
            "time_unix_nano": "1772600767890000000",
            "attributes": {"system.memory.state": "used"},
        })
    );
    assert_eq!(pick(2, &["value", "monotonic", "temporality"]), [json!(0.1234), Value::Null, Value::Null]);
    let histogram = pick(4, &["temporality", "count", "sum", "min", "max", "explicit_bounds", "bucket_counts"]);
    assert_eq!(json!(histogram), json!(["delta", 3, 1.5, 0.012, 1.2, [0.1], [1, 2]]));
    assert_eq!(json!(pick(5, &["count", "sum", "min", "scale", "zero_count"])), json!([2, 96.0, null, 3, 0]));
    assert_eq!(json!(pick(6, &["count", "sum"])), json!([4, 20.0]));
    assert_eq!(all[6]["quantiles"][1], json!({"quantile": 0.5, "value": 5.0}));
}

/// Guarantees: a span is an object with all its fields.
#[test]
fn json_lines_show_spans() {
    let all = objects(&Request::Traces(traces()));
    assert_eq!(
        all[1],
        json!({
            "signal": "traces",
            "resource": {"service.name": "insights-agent", "host.name": "desk-7", "service.version": "1"},
            "scope": "tests",
            "name": "open blotter",
            "kind": "client",
            "trace_id": "abababababababababababababababab",
            "span_id": "0101010101010101",
            "start_time_unix_nano": "1772600767890000000",
            "end_time_unix_nano": "1772600828890000000",
            "status": "error",
            "status_message": "timeout",
            "attributes": {},
            "events": [],
            "links": [],
        })
    );
}

/// Guarantees: totals are one readable line.
#[test]
fn totals_are_one_line() {
    let some = Totals { metrics: totals(1, 12, 2150), logs: totals(2, 1, 98_304), ..Totals::default() };
    assert_eq!(some.to_string(), "metrics 12 items in 1 request, 2.1 KiB; logs 1 item in 2 requests, 96 KiB");
    assert_eq!(Totals::default().to_string(), "nothing received");
}
