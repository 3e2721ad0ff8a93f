//! Who used which app, for how long: focus, sessions and applications.
//!
//! One thread waits for the desktop to tell of a change, looks at it, and gives what it sees to the [`timeline`]; a slow
//! poll finds what no event told. What slices and instances add up to is handed over by instruments, spans and the history
//! of seven days. Titles of windows are seen by the naming of apps ([`crate::ioconnect::apps`]) and by nobody else.

mod crashes;
mod desktop;
mod exits;
mod family;
mod instances;
mod moment;
mod tally;
mod timeline;
mod trace;
mod watch;

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

use self::desktop::Waker;
use self::tally::{AppFigures, Tally, Took};
use self::watch::Watch;
use super::{Source, SourceContext, SourceReports};
use crate::config::Settings;
use crate::session::SessionState;
use crate::signals::metrics::{self, Metric};
use crate::usage::{Session, Usage};

pub use self::tally::FocusFigures;

/// The running source. Stop it before the meter provider is shut down, so that its last export has all.
#[derive(Debug)]
pub struct FocusSource {
    tally: Arc<Mutex<Tally>>,
    thread: Arc<Mutex<Option<Running>>>,
}

struct Running {
    waker: Waker,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for FocusSource {
    fn is_enabled(settings: &Settings) -> bool {
        settings.focus.enabled
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        let SourceContext { settings, data, resource, provider, pause, .. } = context;
        let tally = Tally::new(resource.get(SESSION_ID), Usage::load(&data.usage()));
        let tally = Arc::new(Mutex::new(tally));
        let meter = metrics::meter(provider, metrics::USAGE_SCOPE);
        observe(&meter, &tally);
        let recorder = Recorder::new(&meter);
        let mut watch =
            Watch::new(Arc::clone(&tally), recorder, settings.focus.clone(), &settings.connect, pause.clone());
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name("focus".to_owned()).spawn(move || {
            let (mut desktop, waker) = desktop::open();
            if sender.send(waker).is_ok() {
                watch.run(desktop.as_mut());
            }
        })?;
        let waker = receiver.recv().map_err(|_| io::Error::other("the focus thread has ended"))?;
        Ok(Self { tally, thread: Arc::new(Mutex::new(Some(Running { waker, thread }))) })
    }

    fn report(&self, reports: &mut SourceReports) {
        let tally = self.tally.lock();
        let today = jiff::ZonedDateTime::now().date();
        let active = tally.usage.days.get(&today).and_then(|day| day.states.get(&SessionState::Active).copied());
        let active = Duration::try_from_secs_f64(active.unwrap_or_default()).unwrap_or_default();
        let active_milliseconds_today = i64::try_from(active.as_millis()).unwrap_or(i64::MAX);
        reports.focus = FocusFigures { active_milliseconds_today, ..tally.now.clone() };
    }

    async fn stop(&self) {
        let thread = Arc::clone(&self.thread);
        if tokio::task::spawn_blocking(move || end(&thread)).await.is_err() {
            tracing::error!("the focus thread could not be joined");
        }
    }
}

impl FocusSource {
    /// The history.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.tally.lock().usage.clone()
    }

    /// Forgets the history, but not which session this is.
    pub fn forget(&self) {
        self.tally.lock().usage.days.clear();
    }

    /// The session is seen. Returns the one before, if this is another.
    #[must_use]
    pub fn record_session(&self, id: &str, at: Timestamp) -> Option<Session> {
        self.tally.lock().usage.record_session(id, at)
    }

    /// Spans that are over, to be put into the queue.
    #[must_use]
    pub fn take_spans(&self) -> Vec<Span> {
        self.tally.lock().take_spans()
    }

    /// Spans that found no room.
    pub fn give_back(&self, spans: Vec<Span>) {
        self.tally.lock().give_back(spans);
    }
}

/// Ends the thread; the interval that was open is counted.
fn end(thread: &Mutex<Option<Running>>) {
    if let Some(Running { waker, thread }) = thread.lock().take() {
        waker();
        if thread.join().is_err() {
            tracing::error!("the focus thread panicked");
        }
    }
}

impl Drop for FocusSource {
    fn drop(&mut self) {
        end(&self.thread);
    }
}

/// The histograms.
#[derive(Debug)]
struct Recorder {
    focus: Histogram<f64>,
    app: Histogram<f64>,
    platform: Histogram<f64>,
    start: Histogram<f64>,
}

impl Recorder {
    fn new(meter: &Meter) -> Self {
        Self {
            focus: metrics::APP_FOCUS_DURATION.histogram(meter),
            app: metrics::APP_SESSION_DURATION.histogram(meter),
            platform: metrics::PLATFORM_SESSION_DURATION.histogram(meter),
            start: metrics::PLATFORM_START_DURATION.histogram(meter),
        }
    }

    fn record(&self, took: impl IntoIterator<Item = Took>) {
        for took in took {
            match took {
                Took::Focus(app, length) => self.focus.record(length.as_secs_f64(), &[named(&app)]),
                Took::App(app, length) => self.app.record(length.as_secs_f64(), &[named(&app)]),
                Took::Platform(length) => self.platform.record(length.as_secs_f64(), &[]),
                Took::Start(length) => self.start.record(length.as_secs_f64(), &[]),
            }
        }
    }
}

fn named(app: &Arc<str>) -> KeyValue {
    KeyValue::new(metrics::APP_NAME.name, Arc::clone(app))
}

fn observe(meter: &Meter, tally: &Arc<Mutex<Tally>>) {
    let weak = Arc::downgrade(tally);
    metrics::USER_SESSION_TIME.observe_f64(meter, move |observer| {
        if let Some(tally) = weak.upgrade() {
            for (state, length) in &tally.lock().states {
                observer.observe(length.as_secs_f64(), &[KeyValue::new(metrics::SESSION_STATE.name, state.name())]);
            }
        }
    });
    let weak = Arc::downgrade(tally);
    metrics::APP_FOCUS_TIME.observe_f64(meter, move |observer| {
        if let Some(tally) = weak.upgrade() {
            for (app, figures) in &tally.lock().apps {
                observer.observe(figures.focus.as_secs_f64(), &[named(app)]);
            }
        }
    });
    let by_app = |metric: &Metric, value: fn(&AppFigures) -> u64| {
        let weak = Arc::downgrade(tally);
        metric.observe_u64(meter, move |observer| {
            if let Some(tally) = weak.upgrade() {
                for (app, figures) in &tally.lock().apps {
                    observer.observe(value(figures), &[named(app)]);
                }
            }
        });
    };
    by_app(&metrics::APP_SWITCHES, |figures| figures.switches);
    by_app(&metrics::APP_STARTS, |figures| figures.starts);
    by_app(&metrics::APP_RUNNING, |figures| figures.running);
    by_app(&metrics::APP_HANGS, |figures| figures.hangs);
    by_app(&metrics::APP_CRASHES, |figures| figures.crashes);
    let whole = |metric: &Metric, value: fn(&Tally) -> u64| {
        let weak = Arc::downgrade(tally);
        metric.observe_u64(meter, move |observer| {
            weak.upgrade().inspect(|tally| observer.observe(value(&tally.lock()), &[]));
        });
    };
    whole(&metrics::PLATFORM_CRASHES, |tally| tally.dumps);
    whole(&metrics::PLATFORM_STARTS, |tally| tally.platform_starts);
}
