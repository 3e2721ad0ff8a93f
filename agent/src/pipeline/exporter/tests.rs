//! Scenario: the exporter sends to real sockets that refuse, misbehave or answer. Each kind of
//! failure has its own sentence, and each answer its effect on the queue.

mod destinations;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::config::{CollectorSettings, QueueSettings, Settings};
use crate::consent::LogKind;
use crate::otlp::Compression;
use crate::pipeline::queue::{Batch, BatchId, NewBatch};

/// Maximum time to wait for something in a test.
const TIMEOUT: Duration = Duration::from_secs(20);

fn settings(address: SocketAddr, json: serde_json::Value) -> CollectorSettings {
    let mut settings: CollectorSettings = serde_json::from_value(json).unwrap();
    if settings.endpoint == CollectorSettings::default().endpoint {
        settings.endpoint = format!("http://{address}").parse().unwrap();
    }
    settings
}

fn grpc(address: SocketAddr) -> CollectorSettings {
    settings(address, serde_json::json!({ "protocol": "grpc" }))
}

fn http(address: SocketAddr) -> CollectorSettings {
    settings(address, serde_json::json!({ "protocol": "http/protobuf" }))
}

fn request(records: usize) -> Vec<u8> {
    let log_records = (1..=records).map(|n| LogRecord { time_unix_nano: n as u64, ..LogRecord::default() }).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn new_batch(records: u32) -> NewBatch {
    let (consent, payload) = (Some(LogKind::Platform), request(records as usize));
    NewBatch { signal: Signal::Logs, consent, items: records, oldest_unix_nano: 0, newest_unix_nano: 0, payload }
}

fn batch() -> Batch {
    Batch {
        id: BatchId::default(),
        signal: Signal::Logs,
        compression: Compression::Gzip,
        items: 2,
        split: false,
        payload: crate::otlp::compression::compress(Compression::Gzip, &request(2)).unwrap().into(),
    }
}

/// Sends one batch and returns the sentence for people, with the port replaced.
async fn sentence_for(settings: &CollectorSettings) -> String {
    let client = Client::new(settings).unwrap();
    let outcome = client.send(&batch()).await;
    let address = client.address();
    let port = address.rsplit(':').next().unwrap_or_default();
    sentence::sentence(&outcome, Signal::Logs, &address).replace(port, "PORT")
}

/// Starts a server that answers every connection with these bytes, whatever the request.
async fn raw_server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 8192]).await;
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
                // Waits until the client has read and closed: a reset would discard the answer.
                while matches!(stream.read(&mut [0; 8192]).await, Ok(1..)) {}
            });
        }
    });
    address
}

type Script = Box<dyn FnMut(ExportLogsServiceRequest) -> Result<ExportLogsServiceResponse, Status> + Send>;

struct Scripted(Mutex<Script>);

#[tonic::async_trait]
impl LogsService for Scripted {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        (self.0.lock())(request.into_inner()).map(Response::new)
    }
}

/// Starts a gRPC server that answers by script, compressed like the request.
async fn grpc_server(
    script: impl FnMut(ExportLogsServiceRequest) -> Result<ExportLogsServiceResponse, Status> + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = LogsServiceServer::new(Scripted(Mutex::new(Box::new(script))))
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip);
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

/// Returns the schedule of a machine that does not save power.
fn schedule() -> SendSchedule {
    let (_, power_saving) = watch::channel(None);
    SendSchedule::new(&Settings::default(), "desk", power_saving)
}

fn rejecting(rejected: i64) -> ExportLogsServiceResponse {
    let error_message = "too old".to_owned();
    let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message };
    ExportLogsServiceResponse { partial_success: Some(partial) }
}

#[tokio::test]
async fn sentence_names_cause_when_collector_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    insta::assert_snapshot!(sentence_for(&grpc(closed)).await, @"No program answers at 127.0.0.1:PORT: the connection was refused. Start the collector there, or correct `collector.endpoint`.");
    insta::assert_snapshot!(sentence_for(&http(closed)).await, @"No program answers at 127.0.0.1:PORT: the connection was refused. Start the collector there, or correct `collector.endpoint`.");
    let remote = "http://collector.invalid:4317";
    let unknown = settings(closed, serde_json::json!({ "endpoint": remote, "allow_plain_http": true }));
    insta::assert_snapshot!(sentence_for(&unknown).await, @"The host name of the collector, collector.invalid, cannot be resolved. Check `collector.endpoint`, the network and the VPN.");
    let unencrypted = settings(closed, serde_json::json!({ "endpoint": remote }));
    insta::assert_snapshot!(sentence_for(&unencrypted).await, @"collector.invalid:PORT is another computer, and the data would be sent there unencrypted. Use `https://`. To send unencrypted data anyway, set `collector.allow_plain_http`.");
}

/// Settings: `collector.timeout`, `collector.endpoint`.
#[tokio::test]
async fn sentence_names_cause_when_collector_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let impatient = settings(address, serde_json::json!({ "protocol": "http/protobuf", "timeout": "200ms" }));
    insta::assert_snapshot!(sentence_for(&impatient).await, @"127.0.0.1:PORT did not answer in time (`collector.timeout`). The network or the collector is slow, or a firewall drops the data.");
    insta::assert_snapshot!(sentence_for(&http(raw_server(b"").await)).await, @"127.0.0.1:PORT closed the connection before it answered. If this continues, check the log of the collector.");
}

/// Settings: `collector.protocol`.
#[tokio::test]
async fn sentence_shows_hint_when_port_speaks_another_protocol() {
    let http1 = raw_server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    insta::assert_snapshot!(sentence_for(&grpc(http1)).await, @"127.0.0.1:PORT does not speak gRPC. Set `collector.protocol` to `http/protobuf`, or use the collector's gRPC port (usually 4317).");
    let grpc_port = grpc_server(|_| Ok(ExportLogsServiceResponse::default())).await;
    insta::assert_snapshot!(sentence_for(&http(grpc_port)).await, @"127.0.0.1:PORT does not speak HTTP/1.1; it looks like a gRPC port. Set `collector.protocol` to `grpc`, or use the collector's HTTP port (usually 4318).");
    let web = raw_server(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nHi!!").await;
    insta::assert_snapshot!(sentence_for(&http(web)).await, @"127.0.0.1:PORT answered with a web page, so it is not a collector. Check `collector.endpoint`, and whether a proxy or a network sign-in page intercepts the request.");
    let plain = raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let tls = settings(plain, serde_json::json!({ "endpoint": format!("https://{plain}") }));
    insta::assert_snapshot!(sentence_for(&tls).await, @"127.0.0.1:PORT does not use TLS. Use `http://` in `collector.endpoint`, or the TLS port of the collector.");
}

#[tokio::test]
async fn sentence_tells_what_to_do_when_collector_rejects_data() {
    let answer = |head: &'static str| async move { sentence_for(&http(raw_server(head.as_bytes()).await)).await };
    insta::assert_snapshot!(answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await, @"127.0.0.1:PORT requires credentials for logs. Check `collector.headers`.");
    insta::assert_snapshot!(answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await, @"127.0.0.1:PORT does not accept logs: there is no service for them at this address. Check `collector.endpoint` and the collector's pipelines.");
    insta::assert_snapshot!(answer("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull").await, @"127.0.0.1:PORT is not accepting logs at the moment (HTTP 503). They are kept and sent later. It says: full");
    insta::assert_snapshot!(answer("HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nno good").await, @"127.0.0.1:PORT rejected logs permanently (HTTP 400). The request was dropped and counted. It says: no good");
    insta::assert_snapshot!(answer("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n").await, @"127.0.0.1:PORT redirects to another address (HTTP 302). Set `collector.endpoint` to the collector's own address.");
    let denied = grpc_server(|_| Err(Status::permission_denied("tenant unknown"))).await;
    insta::assert_snapshot!(sentence_for(&grpc(denied)).await, @"127.0.0.1:PORT does not allow this agent to send logs. Check `collector.headers` and the permissions of these credentials. It says: tenant unknown");
    let partial = grpc_server(|_| Ok(rejecting(1))).await;
    insta::assert_snapshot!(sentence_for(&grpc(partial)).await, @"The collector at 127.0.0.1:PORT rejected 1 of the logs sent to it. They are not sent again. It says: too old");
}

/// Starts a TLS server with a certificate for `name` whose validity `validity` sets. Returns its
/// address and the certificate as PEM.
async fn tls_server(name: &str, validity: impl FnOnce(&mut rcgen::CertificateParams)) -> (SocketAddr, String) {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    validity(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    (address, certificate.pem())
}

#[tokio::test]
async fn sentence_names_cause_when_certificate_is_invalid() {
    let dir = tempfile::tempdir().unwrap();
    let trusting = |address: SocketAddr, pem: String| {
        let file = dir.path().join(format!("{}.pem", address.port()));
        std::fs::write(&file, pem).unwrap();
        let endpoint = format!("https://localhost:{}", address.port());
        settings(address, serde_json::json!({ "endpoint": endpoint, "protocol": "http/protobuf", "certificate": file }))
    };
    let (address, _) = tls_server("localhost", |_| {}).await;
    let untrusting = settings(
        address,
        serde_json::json!({ "endpoint": format!("https://localhost:{}", address.port()), "protocol": "http/protobuf" }),
    );
    insta::assert_snapshot!(sentence_for(&untrusting).await, @"The certificate of localhost:PORT was issued by an authority that this computer does not trust. Install the authority's certificate on this computer, or set `collector.certificate` to its file.");

    let (address, pem) = tls_server("collector.example.com", |_| {}).await;
    insta::assert_snapshot!(sentence_for(&trusting(address, pem)).await, @"The certificate of localhost:PORT was issued for a different name. Set `collector.endpoint` to a name that the certificate contains.");

    let (address, pem) = tls_server("localhost", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)).await;
    insta::assert_snapshot!(sentence_for(&trusting(address, pem)).await, @"The certificate of localhost:PORT has expired. Renew it at the collector. If it is still valid, correct the clock of this computer.");

    let (address, pem) = tls_server("localhost", |params| params.not_before = rcgen::date_time_ymd(2090, 1, 1)).await;
    insta::assert_snapshot!(sentence_for(&trusting(address, pem)).await, @"The certificate of localhost:PORT is not valid yet. Most likely the clock of this computer is wrong; correct it.");
}

/// Guarantees: a collector that requires client certificates accepts ours, also with its key in a
/// separate file. Without a certificate, or with an unknown one, the sentence tells what to do.
///
/// Settings: `collector.client_certificate_thumbprint`.
#[tokio::test]
async fn client_certificate_identifies_machine() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let signed = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let files = ["crt", "key", "pem"].map(|kind| dir.path().join(format!("{name}.{kind}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        std::fs::write(&files[2], certificate.pem() + &key.serialize_pem()).unwrap();
        (certificate, key, files)
    };
    let (server, server_key, [authority, ..]) = signed("localhost");
    let (desk, _, [certificate, key, both]) = signed("desk");
    let (.., [_, _, foreign]) = signed("foreign");
    let mut known = rustls::RootCertStore::empty();
    known.add(desk.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(known), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.der().clone()], server_key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 8192]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    let with = |own: serde_json::Value| {
        let endpoint = format!("https://localhost:{}", address.port());
        let mut tree =
            serde_json::json!({ "endpoint": endpoint, "protocol": "http/protobuf", "certificate": authority });
        tree.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        settings(address, tree)
    };
    for own in [
        serde_json::json!({ "client_certificate": certificate, "client_key": key }),
        serde_json::json!({ "client_certificate": both }),
    ] {
        let client = Client::new(&with(own)).unwrap();
        let outcome = client.send(&batch()).await;
        assert!(matches!(outcome, Outcome::Accepted { rejected: 0, .. }), "{outcome:?}");
    }
    insta::assert_snapshot!(sentence_for(&with(serde_json::json!({}))).await, @"localhost:PORT requires a client certificate that it trusts. Set `collector.client_certificate`. If it is set, renew the certificate, or make the collector trust it.");
    let foreign = sentence_for(&with(serde_json::json!({ "client_certificate": foreign }))).await;
    assert!(foreign.contains("requires a client certificate"), "{foreign}");
    let why = |own| Client::new(&with(own)).unwrap_err().to_string();
    let alone = why(serde_json::json!({ "client_certificate": certificate }));
    assert!(alone.contains("desk.crt contains no certificate with its private key"), "{alone}");
    let keyless = why(serde_json::json!({ "client_key": key }));
    assert!(keyless.contains("collector.client_key is set"), "{keyless}");
    let print = "a9 09 50 2d d8 2a e4 14 33 e6 f8 38 86 b0 0d 42 77 a3 2a 7b";
    let absent = why(serde_json::json!({ "client_certificate_thumbprint": print }));
    assert!(absent.contains("a909502dd82ae41433e6f83886b00d4277a32a7b"), "{absent}");
}

#[test]
fn client_error_names_cause_when_certificate_file_is_unusable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let with_file = settings(address, serde_json::json!({ "certificate": file }));
    let why = || Client::new(&with_file).unwrap_err().to_string();
    assert!(why().contains("cannot be read"), "{}", why());
    std::fs::write(&file, "nothing").unwrap();
    assert!(why().contains("contains no certificate"), "{}", why());
}

/// Guarantees: the records arrive with every configured compression, whatever the compression of
/// the queued payload.
///
/// Settings: `collector.compression`.
#[tokio::test]
async fn payload_arrives_in_every_compression() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let address = grpc_server(move |request| {
        *count.lock() += request.resource_logs[0].scope_logs[0].log_records.len();
        Ok(ExportLogsServiceResponse::default())
    })
    .await;
    for compression in ["gzip", "zstd", "none"] {
        let client = Client::new(&settings(address, serde_json::json!({ "compression": compression }))).unwrap();
        assert_eq!(client.send(&batch()).await, Outcome::Accepted { rejected: 0, message: String::new() });
    }
    assert_eq!(*seen.lock(), 6);
}

/// Guarantees: the delay of `RetryInfo` in the details of a status is used.
#[tokio::test]
async fn retry_info_sets_retry_delay() {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
    let busy =
        grpc_server(move |_| Err(Status::with_error_details(tonic::Code::ResourceExhausted, "busy", details.clone())))
            .await;
    let outcome = Client::new(&grpc(busy)).unwrap().send(&batch()).await;
    assert_eq!(decide(&outcome), Decision::Retry { at_least: Some(Duration::from_secs(9)) });
}

/// Guarantees: a lane retries retryable batches, sends no other batch twice, counts rejected and
/// dropped items, and publishes its state.
#[tokio::test]
async fn lane_delivers_all_batches_despite_errors() {
    let mut answers = vec![
        Err(Status::unavailable("restarting")),
        Ok(rejecting(1)),
        Err(Status::invalid_argument("no")),
        Ok(ExportLogsServiceResponse::default()),
    ]
    .into_iter();
    let received = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&received);
    let address = grpc_server(move |request| {
        seen.lock().push(request.resource_logs[0].scope_logs[0].log_records.len());
        answers.next().unwrap()
    })
    .await;

    let dir = tempfile::tempdir().unwrap();
    let opened = Queue::open(&dir.path().join("queue.db"), &QueueSettings::default(), Compression::Gzip).unwrap();
    let queue = opened.queue;
    for records in [2, 3, 4] {
        queue.append(new_batch(records)).await.unwrap();
    }
    let exporter =
        Exporter::start(&queue, &Clients::new(&grpc(address)).unwrap(), &Pause::default(), &schedule(), |_| {
            ExportDuration::default()
        });
    let mut stats = queue.watch();
    tokio::time::timeout(TIMEOUT, stats.wait_for(|stats| stats.batches() == 0)).await.unwrap().unwrap();
    assert_eq!(*received.lock(), [2, 2, 3, 4]);
    let counters = stats.borrow().counters.clone();
    assert_eq!(
        (counters["delivered.logs"], counters["rejected.logs"], counters["dropped.logs.refused"]),
        (1 + 4, 1, 3)
    );
    let (_, mut delivery) = exporter.watch().into_iter().find(|(signal, _)| *signal == Signal::Logs).unwrap();
    let full_success = |d: &Delivery| (d.acknowledged_items, d.rejected_items, d.problem.is_none()) == (5, 1, true);
    tokio::time::timeout(TIMEOUT, delivery.wait_for(full_success)).await.unwrap().unwrap();
    exporter.stop(TIMEOUT).await;
}

/// Guarantees: wrong settings hold the queue. Nothing is dropped, and the problem is published.
#[tokio::test]
async fn lane_keeps_data_when_credentials_are_wrong() {
    let denied = grpc_server(|_| Err(Status::unauthenticated("who are you"))).await;
    let dir = tempfile::tempdir().unwrap();
    let opened = Queue::open(&dir.path().join("queue.db"), &QueueSettings::default(), Compression::Gzip).unwrap();
    opened.queue.append(new_batch(2)).await.unwrap();
    let exporter =
        Exporter::start(&opened.queue, &Clients::new(&grpc(denied)).unwrap(), &Pause::default(), &schedule(), |_| {
            ExportDuration::default()
        });
    let (_, mut delivery) = exporter.watch().into_iter().find(|(signal, _)| *signal == Signal::Logs).unwrap();
    tokio::time::timeout(TIMEOUT, delivery.wait_for(|delivery| delivery.state == LaneState::Held))
        .await
        .unwrap()
        .unwrap();
    assert!(delivery.borrow().problem.as_ref().unwrap().sentence.contains("who are you"));
    assert_eq!(opened.queue.watch().borrow().logs.items, 2);
    exporter.stop(TIMEOUT).await;
}
