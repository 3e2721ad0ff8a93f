//! The command line: what can be asked for, and the way from an error to a sentence and an exit code.
//!
//! Exit codes: 0 done; 1 it failed; 2 the settings or the command are wrong; 3 no agent is running.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ask;
mod connect;
mod doctor;
mod emit;
mod redact;
mod run;
mod settings;
mod usage;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use insights_agent::config::ConfigError;
use insights_agent::consent::LogKind;
use insights_agent::control::AskError;
use insights_agent::debug_collector::Format;
use insights_agent::pause::PauseFor;
use insights_agent::startup::CommonArgs;

/// Desktop observability agent for io.Connect: host metrics and, once shared, logs, as OTLP to your collector.
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
    /// Collect and deliver until ended (Ctrl-C, SIGTERM, logoff).
    Run,
    /// Let the running agent end, and wait until it has.
    Stop,
    /// Delete everything that the agent keeps for this user: the queue, the history, the consent record and the settings.
    DeleteData,
    /// Show how the running agent is.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure, read and send nothing for a while, or go on.
    Pause {
        /// Until when.
        #[arg(value_enum)]
        until: Until,
    },
    /// Show how this user used apps today: kept on this machine, for seven days.
    Usage {
        /// The last seven days instead.
        #[arg(long)]
        week: bool,
        /// As JSON.
        #[arg(long, conflicts_with = "delete")]
        json: bool,
        /// Delete what is kept.
        #[arg(long, conflicts_with = "week")]
        delete: bool,
    },
    /// Show what the queue holds, also when no agent runs.
    Queue {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at everything that delivery depends on: each line says good, or what to do.
    Doctor {
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Save a diagnostics bundle for support: a ZIP file without log lines, queued data or secrets.
    Bundle {
        /// The file; by default one in this folder, named after the time.
        file: Option<PathBuf>,
        /// Print what would be in it, and save nothing.
        #[arg(long, conflicts_with = "file")]
        preview: bool,
    },
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Sharing of io.Connect's log files.
    #[command(subcommand)]
    Logs(LogsCommand),
    /// Show what would be sent of a log file: what is hidden in it, what is left out.
    Redact {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// As JSON, a record a line.
        #[arg(long)]
        json: bool,
        /// Only records in which something is hidden, or that are left out.
        #[arg(long)]
        only_changed: bool,
    },
    /// Send an event, a log record, a metric or a span of one's own through the running agent.
    Emit(emit::Emit),
    /// What io.Connect is told of this agent.
    #[command(subcommand)]
    Connect(connect::Connect),
    /// A small OTLP receiver on this machine that prints what arrives: for trying out and for tests.
    Collector(CollectorArguments),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting with its value and where it comes from; secrets are masked.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with the settings, if anything.
    Check,
    /// Print the JSON Schema of the settings file, for editors.
    Schema,
}

#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Share log files, stop sharing them, or show what is shared.
    Share {
        /// `on`, `off` or `status`.
        decision: Share,
        /// Only these logs.
        #[arg(long, value_enum)]
        only: Option<Kind>,
    },
    /// The folders with io.Connect's log files on this machine.
    Folders {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Share {
    /// Log lines written from now on are sent to the collector.
    On,
    /// Nothing is read any more, and what waits is deleted.
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
    /// What the io.Connect platform writes of itself.
    Platform,
    /// What the applications write.
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
    /// Loopback address for OTLP/gRPC; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:4317")]
    grpc: SocketAddr,
    /// Loopback address for OTLP/HTTP; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:4318")]
    http: SocketAddr,
    /// How to print what arrives.
    #[arg(long, value_enum, default_value_t = Print::Text)]
    format: Print,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Print {
    /// For people.
    Text,
    /// One JSON object a line for each record, data point and span.
    Json,
    /// Only how many.
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

/// Carries out the command.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let Arguments { common, command } = arguments;
    let result = match command {
        Command::Run => run::agent(&common),
        Command::Collector(options) => run::collector(&options),
        Command::Emit(what) => emit::emit(&common, &what),
        Command::Connect(connect::Connect::Setup(setup)) => connect::setup(&common, &setup),
        Command::Stop => ask::stop(&common),
        Command::DeleteData => ask::delete_data(&common),
        Command::Status { json } => ask::status(&common, json),
        Command::Pause { until } => ask::pause(&common, until.into()),
        Command::Usage { delete: true, .. } => usage::delete(&common),
        Command::Usage { week, json, .. } => usage::show(&common, week, json),
        Command::Queue { json } => ask::queue(&common, json),
        Command::Redact { file, json, only_changed } => redact::redact(&common, &file, json, only_changed),
        Command::Doctor { json } => doctor::doctor(&common, json),
        Command::Bundle { file, preview } => ask::bundle(&common, file, preview),
        Command::Config(ConfigCommand::Show { json }) => settings::show(&common, json),
        Command::Config(ConfigCommand::Check) => settings::check(&common),
        Command::Config(ConfigCommand::Schema) => settings::schema(),
        Command::Logs(LogsCommand::Share { decision: Share::Status, .. }) => ask::sharing(&common),
        Command::Logs(LogsCommand::Share { decision, only }) => {
            ask::share(&common, &Kind::kinds(only), decision == Share::On)
        }
        Command::Logs(LogsCommand::Folders { json }) => ask::folders(&common, json),
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
        None => format!("error: {error:#}"),
    }
}

/// Runs a future on a runtime of one thread, which is all that the agent needs.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(future)
}
