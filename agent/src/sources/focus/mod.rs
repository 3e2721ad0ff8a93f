//! Measures which app was used for how long: focus, sessions and app instances.
//!
//! One thread waits until the desktop reports a change, takes a snapshot of the desktop and passes
//! it to the [`timeline`]. A slow poll finds changes that no event reported. The aggregated
//! intervals and instances are exported as metrics and spans and are stored in the usage history of
//! seven days. Window titles are passed only to the naming of apps ([`crate::ioconnect::apps`]).

mod aggregate;
mod clock;
mod crash_dumps;
mod desktop;
mod exit_codes;
mod instances;
mod process_tree;
mod timeline;
mod trace;
mod watcher;

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_semantic_conventions::attribute::SESSION_ID;
use parking_lot::Mutex;

use self::aggregate::{AppFigures, Completed, UsageAggregate};
use self::desktop::Waker;
use self::watcher::Watcher;
use super::{Source, SourceContext, SourceReports};
use crate::config::Settings;
use crate::session::SessionState;
use crate::signals::metrics::{self, Metric};
use crate::usage::{Session, Usage};

pub use self::aggregate::FocusFigures;

/// The running source. Stop it before the meter provider is shut down, so that the last export is
/// complete.
#[derive(Debug)]
pub struct FocusSource {
    aggregate: Arc<Mutex<UsageAggregate>>,
    thread: Arc<Mutex<Option<FocusThread>>>,
}

struct FocusThread {
    waker: Waker,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for FocusThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FocusThread").finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for FocusSource {
    fn is_enabled(settings: &Settings) -> bool {
        settings.focus.enabled
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        let SourceContext { settings, data, resource, provider, pause, .. } = context;
        let aggregate = UsageAggregate::new(resource.get(SESSION_ID), Usage::load(&data.usage()));
        let aggregate = Arc::new(Mutex::new(aggregate));
        let meter = metrics::meter(provider, metrics::USAGE_SCOPE);
        observe(&meter, &aggregate);
        let recorder = DurationRecorder::new(&meter);
        let mut watcher =
            Watcher::new(Arc::clone(&aggregate), recorder, settings.focus.clone(), &settings.connect, pause.clone());
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name("focus".to_owned()).spawn(move || {
            let (mut desktop, waker) = desktop::open();
            if sender.send(waker).is_ok() {
                watcher.run(desktop.as_mut());
            }
        })?;
        let waker = receiver.recv().map_err(|_| io::Error::other("the focus thread has ended"))?;
        Ok(Self { aggregate, thread: Arc::new(Mutex::new(Some(FocusThread { waker, thread }))) })
    }

    fn report(&self, reports: &mut SourceReports) {
        let aggregate = self.aggregate.lock();
        let today = jiff::ZonedDateTime::now().date();
        let active = aggregate.usage.days.get(&today).and_then(|day| day.states.get(&SessionState::Active).copied());
        let active = Duration::try_from_secs_f64(active.unwrap_or_default()).unwrap_or_default();
        let active_milliseconds_today = i64::try_from(active.as_millis()).unwrap_or(i64::MAX);
        reports.focus = FocusFigures { active_milliseconds_today, ..aggregate.current.clone() };
    }

    async fn stop(&self) {
        let thread = Arc::clone(&self.thread);
        if tokio::task::spawn_blocking(move || stop_thread(&thread)).await.is_err() {
            tracing::error!("failed to join the focus thread");
        }
    }
}

impl FocusSource {
    /// Returns the usage history.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.aggregate.lock().usage.clone()
    }

    /// Deletes the usage history, but keeps the current session.
    pub fn forget(&self) {
        self.aggregate.lock().usage.days.clear();
    }

    /// Records that the session was seen. Returns the previous session if this is a new one.
    #[must_use]
    pub fn record_session(&self, id: &str, at: Timestamp) -> Option<Session> {
        self.aggregate.lock().usage.record_session(id, at)
    }

    /// Returns the finished spans, to be put into the queue.
    #[must_use]
    pub fn take_spans(&self) -> Vec<Span> {
        self.aggregate.lock().take_spans()
    }

    /// Takes back spans that the queue could not accept.
    pub fn return_spans(&self, spans: Vec<Span>) {
        self.aggregate.lock().return_spans(spans);
    }
}

/// Stops the thread. The interval in progress is counted.
fn stop_thread(thread: &Mutex<Option<FocusThread>>) {
    if let Some(FocusThread { waker, thread }) = thread.lock().take() {
        waker();
        if thread.join().is_err() {
            tracing::error!("focus thread panicked");
        }
    }
}

impl Drop for FocusSource {
    fn drop(&mut self) {
        stop_thread(&self.thread);
    }
}

/// The histograms of completed durations.
#[derive(Debug)]
struct DurationRecorder {
    focus: Histogram<f64>,
    app: Histogram<f64>,
    platform: Histogram<f64>,
    start: Histogram<f64>,
}

impl DurationRecorder {
    fn new(meter: &Meter) -> Self {
        Self {
            focus: metrics::APP_FOCUS_DURATION.histogram(meter),
            app: metrics::APP_SESSION_DURATION.histogram(meter),
            platform: metrics::PLATFORM_SESSION_DURATION.histogram(meter),
            start: metrics::PLATFORM_START_DURATION.histogram(meter),
        }
    }

    fn record(&self, completed: impl IntoIterator<Item = Completed>) {
        for completed in completed {
            match completed {
                Completed::Focus(app, length) => self.focus.record(length.as_secs_f64(), &[app_attribute(&app)]),
                Completed::AppSession(app, length) => self.app.record(length.as_secs_f64(), &[app_attribute(&app)]),
                Completed::PlatformSession(length) => self.platform.record(length.as_secs_f64(), &[]),
                Completed::PlatformStart(length) => self.start.record(length.as_secs_f64(), &[]),
            }
        }
    }
}

fn app_attribute(app: &Arc<str>) -> KeyValue {
    KeyValue::new(metrics::APP_NAME.name, Arc::clone(app))
}

fn observe(meter: &Meter, aggregate: &Arc<Mutex<UsageAggregate>>) {
    let weak = Arc::downgrade(aggregate);
    metrics::USER_SESSION_TIME.observe_f64(meter, move |observer| {
        if let Some(aggregate) = weak.upgrade() {
            for (state, length) in &aggregate.lock().states {
                observer.observe(length.as_secs_f64(), &[KeyValue::new(metrics::SESSION_STATE.name, state.name())]);
            }
        }
    });
    let weak = Arc::downgrade(aggregate);
    metrics::APP_FOCUS_TIME.observe_f64(meter, move |observer| {
        if let Some(aggregate) = weak.upgrade() {
            for (app, figures) in &aggregate.lock().apps {
                observer.observe(figures.focus.as_secs_f64(), &[app_attribute(app)]);
            }
        }
    });
    let app_metric = |metric: &Metric, value: fn(&AppFigures) -> u64| {
        let weak = Arc::downgrade(aggregate);
        metric.observe_u64(meter, move |observer| {
            if let Some(aggregate) = weak.upgrade() {
                for (app, figures) in &aggregate.lock().apps {
                    observer.observe(value(figures), &[app_attribute(app)]);
                }
            }
        });
    };
    app_metric(&metrics::APP_SWITCHES, |figures| figures.switches);
    app_metric(&metrics::APP_STARTS, |figures| figures.starts);
    app_metric(&metrics::APP_RUNNING, |figures| figures.running);
    app_metric(&metrics::APP_HANGS, |figures| figures.hangs);
    app_metric(&metrics::APP_CRASHES, |figures| figures.crashes);
    let u64_metric = |metric: &Metric, value: fn(&UsageAggregate) -> u64| {
        let weak = Arc::downgrade(aggregate);
        metric.observe_u64(meter, move |observer| {
            weak.upgrade().inspect(|aggregate| observer.observe(value(&aggregate.lock()), &[]));
        });
    };
    u64_metric(&metrics::PLATFORM_CRASHES, |aggregate| aggregate.crash_dumps);
    u64_metric(&metrics::PLATFORM_STARTS, |aggregate| aggregate.platform_starts);
}
