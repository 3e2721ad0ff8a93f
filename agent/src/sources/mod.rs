//! The sources of data: this machine, the desktop, the io.Connect processes, io.Connect's log
//! files, and OTLP from the platform and its apps.
//!
//! Every source is a [`Source`]: it starts from one [`SourceContext`], reports into one
//! [`SourceReports`], follows the user's consent, and stops. [`Sources`] is the one list of them.
//!
//! **Invariant:** a source writes nothing to disk but through the queue, and knows neither the
//! exporter nor the status.

pub mod focus;
pub mod host;
pub mod logs;
pub mod power_saving;
pub mod processes;
pub mod receiver;
mod sampler;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use self::focus::{FocusFigures, FocusSource};
use self::host::{HostFigures, HostSource};
use self::logs::{LogSource, LogStatus};
use self::processes::{ProcessFigures, ProcessSource};
use self::receiver::{Receiver, ReceiverStatus};
use crate::config::Settings;
use crate::consent::Consent;
use crate::paths::DataDir;
use crate::pause::Pause;
use crate::pipeline::queue::Queue;
use crate::redaction::LazyRedactor;
use crate::resource::Resource;

/// Everything that a source may start from.
#[derive(Debug)]
pub struct SourceContext {
    /// All settings; a source reads its own section, and those that it shares with others.
    pub settings: Settings,
    /// The data folder.
    pub data: DataDir,
    /// The attributes of this machine, user and session.
    pub resource: Resource,
    /// The durable hand-off.
    pub queue: Queue,
    /// Creates instruments.
    pub provider: SdkMeterProvider,
    /// While paused, a source does not measure, read or accept anything.
    pub pause: Pause,
    /// Redacts log records before they reach the disk.
    pub redactor: Arc<LazyRedactor>,
    /// What the user shares when the agent starts.
    pub consent: Consent,
}

/// A part of the agent that produces telemetry.
#[async_trait]
pub trait Source: Debug + Send + Sync + 'static {
    /// Returns whether the settings enable this source.
    fn is_enabled(settings: &Settings) -> bool
    where
        Self: Sized;

    /// Starts the source, on the current tokio runtime.
    ///
    /// # Errors
    /// When a thread cannot be started.
    fn start(context: &SourceContext) -> io::Result<Self>
    where
        Self: Sized;

    /// Writes the current state into the source's own field.
    fn report(&self, reports: &mut SourceReports);

    /// Follows a change of consent. When this returns, nothing that is not shared is on its way to
    /// the queue.
    async fn set_consent(&self, _consent: &Consent) {}

    /// Hands over what was collected, and ends. The metrics of the source stay readable until it is
    /// dropped, because the meter provider exports once more at its shutdown.
    async fn stop(&self) {}
}

/// The current state of all sources.
#[derive(Debug, Clone, Default)]
pub struct SourceReports {
    /// This machine.
    pub host: HostFigures,
    /// The io.Connect processes.
    pub processes: ProcessFigures,
    /// The user's session.
    pub focus: FocusFigures,
    /// Log reading.
    pub logs: LogStatus,
    /// The OTLP receiver; none if it is off.
    pub receiver: Option<ReceiverStatus>,
}

/// The running sources.
#[derive(Debug, Default)]
pub struct Sources {
    /// In the order of their start.
    all: Vec<Arc<dyn Source>>,
    focus: Option<Arc<FocusSource>>,
}

impl Sources {
    /// Starts every source that the settings enable. **A new source is added here.**
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(context: &SourceContext) -> io::Result<Self> {
        let mut sources = Self::default();
        sources.add::<HostSource>(context)?;
        sources.add::<ProcessSource>(context)?;
        sources.focus = sources.add::<FocusSource>(context)?;
        sources.add::<LogSource>(context)?;
        sources.add::<Receiver>(context)?;
        Ok(sources)
    }

    fn add<S: Source>(&mut self, context: &SourceContext) -> io::Result<Option<Arc<S>>> {
        if !S::is_enabled(&context.settings) {
            return Ok(None);
        }
        let source = Arc::new(S::start(context)?);
        self.all.push(Arc::clone(&source) as Arc<dyn Source>);
        Ok(Some(source))
    }

    /// The focus source, for session reporting; none if it is off.
    #[must_use]
    pub const fn focus(&self) -> Option<&Arc<FocusSource>> {
        self.focus.as_ref()
    }

    /// Returns the current state of every source.
    #[must_use]
    pub fn report(&self) -> SourceReports {
        let mut reports = SourceReports::default();
        self.all.iter().for_each(|source| source.report(&mut reports));
        reports
    }

    /// Passes a change of consent to every source, in turn. See [`Source::set_consent`].
    pub async fn set_consent(&self, consent: &Consent) {
        for source in &self.all {
            source.set_consent(consent).await;
        }
    }

    /// Stops every source, the last started first.
    pub async fn stop(&self) {
        for source in self.all.iter().rev() {
            source.stop().await;
        }
    }
}
