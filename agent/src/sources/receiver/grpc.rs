//! OTLP/gRPC: one method for each signal. Messages are passed on as bytes, so that fields which this program does not know
//! are kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::{Buf, BufMut, Bytes};
use hyper::body::Incoming;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EnabledCompressionEncodings, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::intake::{Form, Intake, LARGEST_REQUEST, Refusal};
use crate::pipeline::Signal;

/// Answers a call.
pub(super) async fn answer(intake: Arc<Intake>, request: Request<Incoming>) -> Response<Body> {
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.grpc_method() == request.uri().path()) else {
        return Status::unimplemented("OTLP has the Export methods of metrics, traces and logs").into_http();
    };
    let mut taken = EnabledCompressionEncodings::default();
    taken.enable(CompressionEncoding::Gzip);
    taken.enable(CompressionEncoding::Zstd);
    let mut server = Grpc::new(Plain)
        .apply_compression_config(taken, EnabledCompressionEncodings::default())
        .apply_max_message_size_config(Some(LARGEST_REQUEST), None);
    // Few at a time: what they hold is what the memory of the agent grows by.
    let turn = Arc::clone(&intake);
    let _turn = turn.turn().await;
    server.unary(Export { signal, intake }, request).await.map(Body::new)
}

struct Export {
    signal: Signal,
    intake: Arc<Intake>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (signal, intake) = (self.signal, Arc::clone(&self.intake));
        Box::pin(async move {
            match intake.take(signal, Form::Protobuf, request.into_inner().into()).await {
                Ok(taken) => Ok(tonic::Response::new(taken.to_protobuf().into())),
                Err(refusal) => {
                    intake.refused(&refusal);
                    Err(status(&refusal))
                }
            }
        })
    }
}

fn status(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::Full => Code::ResourceExhausted,
        Refusal::Paused | Refusal::Unavailable(_) => Code::Unavailable,
        Refusal::Slow => Code::DeadlineExceeded,
        Refusal::TooLarge => Code::OutOfRange,
        Refusal::Host(_) | Refusal::Origin(_) => Code::PermissionDenied,
        Refusal::Malformed(_) | Refusal::MediaType(_) | Refusal::Path => Code::InvalidArgument,
    };
    match refusal.retry_after() {
        Some(later) => {
            Status::with_error_details(code, refusal.to_string(), ErrorDetails::with_retry_info(Some(later)))
        }
        None => Status::new(code, refusal.to_string()),
    }
}

/// Messages as they are.
#[derive(Debug, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
