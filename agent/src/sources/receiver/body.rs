//! Bodies of requests, as they come: how much of them is held at a time, and for how long one is waited for.
//!
//! Nobody waits for somebody who sends slowly: whoever sends holds the room of what it has sent, and no more.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// Largest body of a request as it comes: twice what SDKs send in a batch of long records.
pub(super) const LARGEST_BODY: usize = 8 << 20;
/// Bytes of bodies that are held at a time, of all requests together: four of the largest.
pub(super) const ROOM: usize = 4 * LARGEST_BODY;
/// Time for a whole request.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Room for bodies.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// A body that has come, and its room.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl From<Bytes> for Held {
    /// A body that takes nobody's room.
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _room: None }
    }
}

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }

    /// Bytes that are still to be had.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.0.available_permits()
    }

    /// Reads a body to its end.
    pub(super) async fn read<B>(&self, body: B) -> Result<Held, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.size_hint().lower() > LARGEST_BODY as u64 {
            return Err(Refusal::TooLarge);
        }
        tokio::time::timeout(BODY_TIME, self.read_all(body)).await.unwrap_or(Err(Refusal::Slow))
    }

    async fn read_all<B>(&self, body: B) -> Result<Held, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut body = Limited::new(Body::new(body), LARGEST_BODY);
        let (mut bytes, mut room) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        while let Some(frame) = body.frame().await {
            // Trailers say nothing.
            let Ok(data) = frame.map_err(|error| refusal(&*error))?.into_data() else { continue };
            let wanted = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let more = Arc::clone(&self.0).try_acquire_many_owned(wanted).map_err(|_| Refusal::Busy)?;
            match &mut room {
                Some(room) => room.merge(more),
                none => *none = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Held { bytes: bytes.freeze(), _room: room })
    }
}

/// What went wrong while a body was read: most often, there was too much of it.
fn refusal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    if error.is::<LengthLimitError>() {
        return Refusal::TooLarge;
    }
    Refusal::Malformed(format!("its body ended too early ({error})"))
}
