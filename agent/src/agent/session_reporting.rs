//! Reports the user's session: spans and events into the queue, and the history of seven days onto
//! the disk.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::paths::DataDir;
use crate::pause::Pause;
use crate::pipeline::events::Events;
use crate::pipeline::queue::AppendError;
use crate::pipeline::spans::Spans;
use crate::signals::events;
use crate::sources::focus::FocusSource;
use crate::usage::{Day, Usage};

/// Interval of the reports, and so the history that a kill can cost. Metrics have their own
/// interval.
const FLUSH_INTERVAL: Duration = Duration::from_mins(1);

/// Moves what the focus source has collected to the queue and to `usage.json`.
#[derive(Debug)]
pub(super) struct SessionReporter {
    /// None if the source is off.
    pub(super) focus: Option<Arc<FocusSource>>,
    /// `session.id`.
    pub(super) session_id: String,
    pub(super) data: DataDir,
    pub(super) events: Events,
    pub(super) spans: Spans,
    pub(super) pause: Pause,
}

impl SessionReporter {
    /// Reports until aborted.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            self.flush_usage().await;
            tokio::time::sleep(FLUSH_INTERVAL).await;
        }
    }

    /// Queues finished spans and session events, and stores the history. While paused there is
    /// nothing to report.
    pub(super) async fn flush_usage(&self) {
        let Some(focus) = &self.focus else { return };
        if self.pause.is_on() {
            return;
        }
        self.report_session(focus).await;
        let spans = focus.take_spans();
        if !spans.is_empty()
            && let Err(error) = self.spans.append(spans.clone()).await
        {
            tracing::warn!("failed to queue spans, will retry: {error:#}");
            focus.return_spans(spans);
        }
        let (usage, file) = (focus.usage(), self.data.usage());
        match tokio::task::spawn_blocking(move || usage.store(&file)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("failed to write the usage history: {error:#}"),
            Err(_) => tracing::error!("writing the usage history panicked"),
        }
    }

    async fn report_session(&self, focus: &FocusSource) {
        let at = Timestamp::now();
        let is_first = focus.usage().session.is_none();
        let before = focus.record_session(&self.session_id, at);
        let id = |id: &str| Value::StringValue(id.to_owned());
        let mut attributes = vec![(events::SESSION_ID, id(&self.session_id))];
        if let Some(before) = &before {
            attributes.push((events::SESSION_PREVIOUS_ID, id(&before.id)));
            let seconds = before.seen_unix_ms.saturating_sub(before.started_unix_ms).max(0) as f64 / 1000.0;
            let ended =
                vec![(events::SESSION_ID, id(&before.id)), (events::SESSION_DURATION, Value::DoubleValue(seconds))];
            let seen = Timestamp::from_millisecond(before.seen_unix_ms).unwrap_or(at);
            self.log_loss(
                self.events.emit(events::SESSION_END, seen, "The session has ended.".to_owned(), ended).await,
            );
        }
        if is_first || before.is_some() {
            let body = "The session has started.".to_owned();
            self.log_loss(self.events.emit(events::SESSION_START, at, body, attributes).await);
        }
    }

    fn log_loss(&self, emitted: Result<(), AppendError>) {
        if let Err(error) = emitted {
            tracing::warn!(session = self.session_id, "failed to queue a session event, it is lost: {error:#}");
        }
    }

    /// Returns the sum of the last `days` days.
    pub(super) fn usage(&self, days: i32) -> Day {
        let usage = self.focus.as_ref().map_or_else(|| Usage::load(&self.data.usage()), |focus| focus.usage());
        usage.total(jiff::ZonedDateTime::now().date(), days)
    }

    /// Deletes the history, on disk too.
    pub(super) async fn delete_history(&self) {
        if let Some(focus) = &self.focus {
            focus.forget();
            self.flush_usage().await;
        }
    }
}
