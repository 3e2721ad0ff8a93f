//! Reading request bodies within a common memory budget.
//!
//! Bytes are taken from the budget as they arrive, not in advance. A slow sender therefore holds
//! only as much of the budget as it has already sent, and cannot block other senders.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rejection::Rejection;

/// Maximum size of a body on the wire: twice what SDKs send in a batch of long records.
pub(super) const MAX_BODY_BYTES: usize = 8 << 20;
/// Maximum size of all bodies that are in memory at a time: four of the maximum size.
pub(super) const MAX_BUFFERED_BYTES: usize = 4 * MAX_BODY_BYTES;
/// Maximum time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The memory budget of all request bodies. One permit is one byte.
#[derive(Debug)]
pub(super) struct BodyBudget(Arc<Semaphore>);

/// A complete body. Dropping it returns its bytes to the budget.
#[derive(Debug)]
pub(super) struct BufferedBody {
    pub(super) bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl From<Bytes> for BufferedBody {
    /// Creates a body outside of any budget.
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _permit: None }
    }
}

impl BodyBudget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BUFFERED_BYTES)))
    }

    /// Returns the number of free bytes.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.0.available_permits()
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// When the body is too large, too slow or ends early, or the budget is used up.
    pub(super) async fn read<B>(&self, body: B) -> Result<BufferedBody, Rejection>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
            return Err(Rejection::TooLarge);
        }
        tokio::time::timeout(BODY_TIMEOUT, self.read_all(body)).await.unwrap_or(Err(Rejection::Slow))
    }

    async fn read_all<B>(&self, body: B) -> Result<BufferedBody, Rejection>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut body = Limited::new(Body::new(body), MAX_BODY_BYTES);
        let (mut bytes, mut permit) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        while let Some(frame) = body.frame().await {
            // Frames without data are trailers, which OTLP requests do not use.
            let Ok(data) = frame.map_err(|error| read_rejection(&*error))?.into_data() else { continue };
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let more = Arc::clone(&self.0).try_acquire_many_owned(size).map_err(|_| Rejection::Busy)?;
            match &mut permit {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(BufferedBody { bytes: bytes.freeze(), _permit: permit })
    }
}

/// Converts an error while reading a body.
fn read_rejection(error: &(dyn std::error::Error + 'static)) -> Rejection {
    if error.is::<LengthLimitError>() {
        return Rejection::TooLarge;
    }
    Rejection::Malformed(format!("the body ended too early ({error})"))
}
