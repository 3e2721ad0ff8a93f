//! What the user did: spans and events into the queue, and the history of seven days onto the disk.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::Shared;
use crate::signals::events;
use crate::sources::focus::FocusSource;
use crate::usage::{Day, Usage};

/// How often. What a kill costs of the history is this much; metrics have their own interval.
const KEEP_INTERVAL: Duration = Duration::from_mins(1);

impl Shared {
    /// Keeps the history until aborted.
    pub(super) async fn keep_history(self: Arc<Self>) {
        loop {
            self.keep().await;
            tokio::time::sleep(KEEP_INTERVAL).await;
        }
    }

    /// Puts spans and events into the queue and the history onto the disk. There is none of it during a pause.
    pub(super) async fn keep(&self) {
        let Some(focus) = &self.focus else { return };
        if self.pause.is_on() {
            return;
        }
        self.see_session(focus).await;
        let spans = focus.take_spans();
        if !spans.is_empty()
            && let Err(error) = self.spans.append(spans.clone()).await
        {
            tracing::warn!(%error, "spans wait for the next try");
            focus.give_back(spans);
        }
        let (usage, file) = (focus.usage(), self.data.usage());
        match tokio::task::spawn_blocking(move || usage.store(&file)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the history of use could not be written"),
            Err(_) => tracing::error!("the history of use was not written because of a panic"),
        }
    }

    async fn see_session(&self, focus: &FocusSource) {
        let at = Timestamp::now();
        let is_first = focus.usage().session.is_none();
        let before = focus.see_session(&self.session, at);
        let id = |id: &str| Value::StringValue(id.to_owned());
        let mut attributes = vec![(events::SESSION_ID, id(&self.session))];
        if let Some(before) = &before {
            attributes.push((events::SESSION_PREVIOUS_ID, id(&before.id)));
            let seconds = before.seen_unix_ms.saturating_sub(before.started_unix_ms).max(0) as f64 / 1000.0;
            let ended =
                vec![(events::SESSION_ID, id(&before.id)), (events::SESSION_DURATION, Value::DoubleValue(seconds))];
            let seen = Timestamp::from_millisecond(before.seen_unix_ms).unwrap_or(at);
            self.tell(self.events.emit(events::SESSION_END, seen, "The session has ended.".to_owned(), ended).await);
        }
        if is_first || before.is_some() {
            self.tell(self.events.emit(events::SESSION_START, at, "A session has begun.".to_owned(), attributes).await);
        }
    }

    fn tell(&self, emitted: Result<(), crate::pipeline::queue::AppendError>) {
        if let Err(error) = emitted {
            tracing::warn!(%error, session = self.session, "an event of the session was lost");
        }
    }

    /// The last days, together.
    pub(super) fn usage(&self, days: i32) -> Day {
        let usage = self.focus.as_ref().map_or_else(|| Usage::load(&self.data.usage()), |focus| focus.usage());
        usage.total(jiff::ZonedDateTime::now().date(), days)
    }
}
