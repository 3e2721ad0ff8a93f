//! The command line: one module for each command, and how an error becomes a sentence and an exit
//! code.
//!
//! Exit codes: 0 success; 1 failure; 2 the settings or the command line are invalid; 3 no agent is
//! running.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bundle;
mod config;
mod connect;
mod delete_data;
mod doctor;
mod emit;
mod logs;
mod pause;
mod queue;
mod redact;
mod run;
mod status;
mod stop;
mod usage;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use insights_agent::config::ConfigError;
use insights_agent::consent::LogKind;
use insights_agent::control::{AskError, Reply};
use insights_agent::debug_collector::Format;
use insights_agent::pause::PauseFor;
use insights_agent::startup::CommonArgs;

/// Desktop observability agent for io.Connect: sends metrics and, once shared, logs to your
/// OpenTelemetry collector.
#[derive(Debug, Parser)]
#[command(name = "insights-agent", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until Ctrl-C, SIGTERM or sign-out.
    Run,
    /// Stop the running agent, and wait until it has stopped.
    Stop,
    /// Delete everything that the agent stores for this user: queue, usage history, consent record
    /// and settings.
    DeleteData,
    /// Show the status of the running agent.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Pause the agent, or resume it. While paused, it does not measure, read or send anything.
    Pause {
        /// How long.
        #[arg(value_enum)]
        until: Until,
    },
    /// Show which apps this user used today. The history of seven days stays on this machine.
    Usage {
        /// Show the last seven days.
        #[arg(long)]
        week: bool,
        /// Print JSON.
        #[arg(long, conflicts_with = "delete")]
        json: bool,
        /// Delete the history.
        #[arg(long, conflicts_with = "week")]
        delete: bool,
    },
    /// Show what the queue holds. Works without a running agent.
    Queue {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check everything that delivery depends on. Each line says ok, or what to do.
    Doctor {
        /// Print JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Save a support bundle: a ZIP file without log lines, queued data or secrets.
    Bundle {
        /// The file; by default one in the current folder, named after the current time.
        file: Option<PathBuf>,
        /// Print what the bundle would contain, without saving it.
        #[arg(long, conflicts_with = "file")]
        preview: bool,
    },
    /// Show and check the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Share io.Connect's log files.
    #[command(subcommand)]
    Logs(LogsCommand),
    /// Show what would be sent of a log file, and what would be redacted or dropped.
    Redact {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Print one JSON object per record.
        #[arg(long)]
        json: bool,
        /// Show only records that are redacted or dropped.
        #[arg(long)]
        only_changed: bool,
    },
    /// Send an event, log record, metric or span of your own through the running agent.
    Emit(emit::Emit),
    /// Set up io.Connect to send to this agent.
    #[command(subcommand)]
    Connect(connect::Connect),
    /// Run a small OTLP receiver on this machine that prints what arrives, for trials and tests.
    Collector(CollectorArguments),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show every setting with its value and origin. Secrets are masked.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check the settings, and show every problem.
    Check,
    /// Print the JSON Schema of the settings file, for editors.
    Schema,
}

#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Start or stop sharing log files, or show what is shared.
    Share {
        /// `on`, `off` or `status`.
        decision: Share,
        /// Change only this kind of logs.
        #[arg(long, value_enum)]
        only: Option<Kind>,
    },
    /// Show the folders with io.Connect's log files on this machine.
    Folders {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Share {
    /// Log lines written from now on are sent to the collector.
    On,
    /// Log files are no longer read, and queued records are deleted.
    Off,
    /// Show what is shared.
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// For one hour.
    OneHour,
    /// Until midnight.
    Tomorrow,
    /// Resume at once.
    #[value(alias = "now")]
    Resume,
}

impl From<Until> for PauseFor {
    fn from(until: Until) -> Self {
        match until {
            Until::OneHour => Self::OneHour,
            Until::Tomorrow => Self::Tomorrow,
            Until::Resume => Self::Resume,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Log files of the io.Connect platform.
    Platform,
    /// Log files of io.Connect applications.
    Applications,
}

impl Kind {
    fn kinds(chosen: Option<Self>) -> Vec<LogKind> {
        match chosen {
            None => LogKind::ALL.to_vec(),
            Some(Self::Platform) => vec![LogKind::Platform],
            Some(Self::Applications) => vec![LogKind::Applications],
        }
    }
}

#[derive(Debug, Args)]
struct CollectorArguments {
    /// Loopback address for OTLP/gRPC; port 0 picks a free port.
    #[arg(long, default_value = "127.0.0.1:4317")]
    grpc: SocketAddr,
    /// Loopback address for OTLP/HTTP; port 0 picks a free port.
    #[arg(long, default_value = "127.0.0.1:4318")]
    http: SocketAddr,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Print::Text)]
    format: Print,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Print {
    /// Text for people.
    Text,
    /// One JSON object per line for each record, data point and span.
    Json,
    /// Totals only.
    Count,
}

impl From<Print> for Format {
    fn from(print: Print) -> Self {
        match print {
            Print::Text => Self::Text,
            Print::Json => Self::Json,
            Print::Count => Self::Count,
        }
    }
}

/// Runs the command.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let Arguments { common, command } = arguments;
    let result = match command {
        Command::Run => run::agent(&common),
        Command::Collector(options) => run::collector(&options),
        Command::Emit(what) => emit::emit(&common, &what),
        Command::Connect(connect::Connect::Setup(setup)) => connect::setup(&common, &setup),
        Command::Stop => stop::stop(&common),
        Command::DeleteData => delete_data::delete(&common),
        Command::Status { json } => status::show(&common, json),
        Command::Pause { until } => pause::pause(&common, until.into()),
        Command::Usage { delete: true, .. } => usage::delete(&common),
        Command::Usage { week, json, .. } => usage::show(&common, week, json),
        Command::Queue { json } => queue::show(&common, json),
        Command::Redact { file, json, only_changed } => redact::redact(&common, &file, json, only_changed),
        Command::Doctor { json } => doctor::doctor(&common, json),
        Command::Bundle { file, preview } => bundle::bundle(&common, file, preview),
        Command::Config(ConfigCommand::Show { json }) => config::show(&common, json),
        Command::Config(ConfigCommand::Check) => config::check(&common),
        Command::Config(ConfigCommand::Schema) => config::schema(),
        Command::Logs(LogsCommand::Share { decision: Share::Status, .. }) => logs::show_sharing(&common),
        Command::Logs(LogsCommand::Share { decision, only }) => {
            logs::share(&common, &Kind::kinds(only), decision == Share::On)
        }
        Command::Logs(LogsCommand::Folders { json }) => logs::show_folders(&common, json),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", sentence(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn std::error::Error>::is::<ConfigError>) {
        2
    } else if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(AskError::NotRunning(_)))) {
        3
    } else {
        1
    }
}

fn sentence(error: &anyhow::Error) -> String {
    match error.chain().find_map(|cause| cause.downcast_ref::<ConfigError>()) {
        Some(settings) => settings.to_string(),
        None => format!("error: {}", causes(error)),
    }
}

/// Returns the error with its causes, each once: many errors repeat their cause in their own text.
fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if !text.ends_with(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text.extend([separator, &cause]);
        }
    }
    text
}

/// The error for an answer that does not fit the request.
fn unexpected(reply: &Reply) -> String {
    format!("unexpected answer of the agent: {reply:?}")
}

/// Runs a future on a runtime with one thread, which is all that the agent needs.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a cause that the error repeats in its own text is printed once, any other cause
    /// is printed too.
    #[test]
    fn repeated_cause_is_printed_once() {
        let repeated = anyhow::anyhow!("path too long").context("failed to open the socket: path too long");
        assert_eq!(causes(&repeated), "failed to open the socket: path too long");
        let other = anyhow::anyhow!("permission denied").context("failed to read the file");
        assert_eq!(causes(&other), "failed to read the file: permission denied");
    }
}
