//! `emit`: sends one signal of your own, for example from a script, through the receiver of the
//! running agent.

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

use super::{block_on, unexpected};

/// Maximum wait for the agent, which answers once the signal is on disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Emit {
    #[command(subcommand)]
    what: What,
    /// `service.name` of the sender.
    #[arg(long, global = true, default_value = "insights-agent emit")]
    service: String,
    /// Attribute, for example `desk=FX`. Repeatable.
    #[arg(long = "attribute", short = 'a', global = true, value_name = "KEY=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Send an event: a log record with a name. Accepted while application logs are shared.
    Event {
        /// Name of the event, for example `com.example.order.sent`.
        name: String,
        /// Text for people.
        #[arg(long)]
        body: Option<String>,
    },
    /// Send a log record. Accepted while application logs are shared.
    Log {
        /// Text of the record.
        text: String,
        /// Severity.
        #[arg(long, value_enum, default_value_t = Level::Info)]
        severity: Level,
    },
    /// Send a measurement: the value of a gauge.
    Metric {
        /// Name of the metric, for example `com.example.orders.open`.
        name: String,
        /// Value.
        #[arg(allow_negative_numbers = true)]
        value: f64,
        /// Unit in UCUM notation, for example `By`, `s`, `{order}`.
        #[arg(long, default_value = "")]
        unit: String,
    },
    /// Send a span that ends now.
    Span {
        /// Name of the span.
        name: String,
        /// Duration, for example `250ms`.
        #[arg(long, default_value = "0s")]
        duration: jiff::SignedDuration,
        /// Marks the span as failed, with this message.
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
    let (key, value) = text.split_once('=').ok_or("write an attribute as KEY=VALUE")?;
    if key.is_empty() {
        Err("the key of the attribute is empty".to_owned())
    } else {
        Ok((key.to_owned(), value.to_owned()))
    }
}

/// Sends the signal.
pub(super) fn emit(common: &CommonArgs, emit: &Emit) -> anyhow::Result<ExitCode> {
    let data = common.data()?;
    let token = common.settings(true)?.settings.receiver.token;
    let (signal, payload) = request(emit);
    block_on(async {
        let reply = ask(&data, &Request::Status).await?;
        let Reply::Status(status) = reply else { bail!(unexpected(&reply)) };
        let Some(address) = status.receiver.and_then(|receiver| receiver.http) else {
            bail!("the receiver of the agent is off (receiver.enabled), or cannot listen");
        };
        install_crypto_provider();
        // A proxy must not be used for this machine.
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
        let post = client.post(format!("{address}{}", signal.http_path()));
        let mut post = post.header("content-type", "application/x-protobuf").body(payload);
        if let Some(token) = token {
            post = post.bearer_auth(token.reveal());
        }
        let response = post.send().await.context("the agent does not answer")?;
        let status = response.status();
        let body = response.bytes().await.context("the answer of the agent was incomplete")?;
        if !status.is_success() {
            let why = tonic_types::Status::decode(body).map(|status| status.message).unwrap_or_default();
            bail!("rejected: {why}");
        }
        // The answers of all three signals have the same fields.
        let answer = ExportLogsServiceResponse::decode(body).context("the answer of the agent is not OTLP")?;
        match answer.partial_success.filter(|partial| partial.rejected_log_records > 0) {
            Some(partial) => bail!("rejected: {}", partial.error_message),
            None => println!("Accepted."),
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
