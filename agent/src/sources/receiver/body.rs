//! Bodies of requests, as they come: how much of them is held at a time, and for how long one is waited for.
//!
//! Nobody waits for somebody who sends slowly: whoever sends holds the room of what it has sent, and no more.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::intake::{LARGEST_BODY, Refusal};

/// Bytes of bodies that are held at a time, of all requests together: four of the largest.
const ROOM: usize = 4 * LARGEST_BODY;
/// Time for a whole request.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Room for bodies.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

/// A body that has come, and its room.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pub(super) bytes: Bytes,
    _room: Vec<SemaphorePermit<'a>>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(ROOM))
    }

    /// Reads a body to its end.
    pub(super) async fn read<B>(&self, body: B) -> Result<Held<'_>, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.size_hint().lower() > LARGEST_BODY as u64 {
            return Err(Refusal::TooLarge);
        }
        tokio::time::timeout(BODY_TIME, self.read_all(body)).await.unwrap_or(Err(Refusal::Slow))
    }

    async fn read_all<B>(&self, body: B) -> Result<Held<'_>, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut body = Limited::new(Body::new(body), LARGEST_BODY);
        let (mut bytes, mut room) = (BytesMut::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            // Trailers say nothing.
            let Ok(data) = frame.map_err(|error| refusal(&*error))?.into_data() else { continue };
            let wanted = u32::try_from(data.len()).unwrap_or(u32::MAX);
            room.push(self.0.try_acquire_many(wanted).map_err(|_| Refusal::Busy)?);
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
