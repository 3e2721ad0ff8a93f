//! `emit`: one signal of one's own, from a script or a shortcut, through the running agent's receiver.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use insights_agent::control::{Reply, Request, ask};
use insights_agent::otlp::Signal;
use insights_agent::pipeline::exporter::install_crypto_provider;
use insights_agent::startup::CommonArgs;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::block_on;

/// Longest wait for the agent, which answers once the signal is on disk.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Emit {
    #[command(subcommand)]
    what: What,
    /// `service.name`: who says it.
    #[arg(long, global = true, default_value = "insights-agent emit")]
    service: String,
    /// An attribute, as in `desk=FX`; can be given several times.
    #[arg(long = "attribute", short = 'a', global = true, value_name = "KEY=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Something that has happened: a log record with a name. Taken while the logs of applications are shared.
    Event {
        /// Its name, as in `com.example.order.sent`.
        name: String,
        /// What it says to people.
        #[arg(long)]
        body: Option<String>,
    },
    /// A log record. Taken while the logs of applications are shared.
    Log {
        /// What it says.
        text: String,
        /// How serious it is.
        #[arg(long, value_enum, default_value_t = Level::Info)]
        severity: Level,
    },
    /// A measurement: the value of a gauge.
    Metric {
        /// Its name, as in `com.example.orders.open`.
        name: String,
        /// Its value.
        #[arg(allow_negative_numbers = true)]
        value: f64,
        /// Its unit, in UCUM's letters, as in `By`, `s`, `{order}`.
        #[arg(long, default_value = "")]
        unit: String,
    },
    /// A span that ends now.
    Span {
        /// Its name.
        name: String,
        /// How long it was, as in `250ms`.
        #[arg(long, default_value = "0s")]
        duration: jiff::SignedDuration,
        /// It failed, and why.
        #[arg(long)]
        error: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("an attribute is written as KEY=VALUE")?;
    if key.is_empty() { Err("an attribute has a key".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}

/// `emit`.
pub(super) fn emit(common: &CommonArgs, emit: &Emit) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let token = common.settings(true)?.settings.receiver.token;
    let (signal, payload) = request(emit);
    block_on(async {
        let reply = ask(&data, &Request::Status).await?;
        let Reply::Status(status) = reply else { bail!("the agent gave another answer: {reply:?}") };
        let Some(address) = status.receiver.and_then(|receiver| receiver.http) else {
            bail!("the agent takes nothing: its receiver is off (receiver.enabled) or cannot listen");
        };
        install_crypto_provider();
        // A proxy is for other machines.
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build()?;
        let post = client.post(format!("{address}{}", signal.http_path()));
        let mut post = post.header("content-type", "application/x-protobuf").body(payload);
        if let Some(token) = token {
            post = post.bearer_auth(token.reveal());
        }
        let response = post.send().await.context("the agent does not answer")?;
        let status = response.status();
        let body = response.bytes().await.context("the agent's answer was cut")?;
        if !status.is_success() {
            let why = tonic_types::Status::decode(body).map(|status| status.message).unwrap_or_default();
            bail!("not taken: {why}");
        }
        // The three answers are alike.
        let answer = ExportLogsServiceResponse::decode(body).context("the agent's answer is none of OTLP")?;
        match answer.partial_success.filter(|partial| partial.rejected_log_records > 0) {
            Some(partial) => bail!("not taken: {}", partial.error_message),
            None => println!("Taken."),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn request(emit: &Emit) -> (Signal, Vec<u8>) {
    let text = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let attribute =
        |key: &str, value: &str| KeyValue { key: key.to_owned(), value: text(value), ..KeyValue::default() };
    let attributes = || emit.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    let resource = Some(Resource { attributes: vec![attribute("service.name", &emit.service)], ..Resource::default() });
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
    let log = |record: LogRecord| {
        let record =
            LogRecord { time_unix_nano: now, observed_time_unix_nano: now, attributes: attributes(), ..record };
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { resource: resource.clone(), scope_logs, ..ResourceLogs::default() }];
        (Signal::Logs, ExportLogsServiceRequest { resource_logs }.encode_to_vec())
    };
    match &emit.what {
        What::Event { name, body } => log(LogRecord {
            event_name: name.clone(),
            severity_number: SeverityNumber::Info.into(),
            body: body.as_deref().and_then(text),
            ..LogRecord::default()
        }),
        What::Log { text: body, severity } => {
            let (number, name) = match severity {
                Level::Trace => (SeverityNumber::Trace, "TRACE"),
                Level::Debug => (SeverityNumber::Debug, "DEBUG"),
                Level::Info => (SeverityNumber::Info, "INFO"),
                Level::Warn => (SeverityNumber::Warn, "WARN"),
                Level::Error => (SeverityNumber::Error, "ERROR"),
                Level::Fatal => (SeverityNumber::Fatal, "FATAL"),
            };
            let (severity_number, severity_text) = (number.into(), name.to_owned());
            log(LogRecord { severity_number, severity_text, body: text(body), ..LogRecord::default() })
        }
        What::Metric { name, value, unit } => {
            let point = NumberDataPoint {
                attributes: attributes(),
                time_unix_nano: now,
                value: Some(Number::AsDouble(*value)),
                ..NumberDataPoint::default()
            };
            let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
            let metrics = vec![Metric { name: name.clone(), unit: unit.clone(), data, ..Metric::default() }];
            let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
            let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
            (Signal::Metrics, ExportMetricsServiceRequest { resource_metrics }.encode_to_vec())
        }
        What::Span { name, duration, error } => {
            let length = u64::try_from(duration.as_nanos()).unwrap_or_default();
            let status = error.as_ref().map(|why| Status { message: why.clone(), code: StatusCode::Error.into() });
            let span = Span {
                trace_id: uuid::Uuid::new_v4().into_bytes().to_vec(),
                span_id: uuid::Uuid::new_v4().into_bytes().get(..8).unwrap_or_default().to_vec(),
                name: name.clone(),
                start_time_unix_nano: now.saturating_sub(length),
                end_time_unix_nano: now,
                attributes: attributes(),
                status,
                ..Span::default()
            };
            let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
            (Signal::Traces, ExportTraceServiceRequest { resource_spans }.encode_to_vec())
        }
    }
}
