//! The HTTP client of a destination, and when it is replaced.
//!
//! After a machine wakes up from sleep, its connections look open, but the server and the firewalls
//! in between may have dropped them; a request on such a connection fails only after a timeout. The
//! HTTP client, with all its connections, is therefore rebuilt after sleep, after a long time
//! without requests, and after a request without an answer. Certificate files are read again at
//! that time, so that a renewed certificate takes effect.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use reqwest::{ClientBuilder, NoProxy, Proxy, tls};

use super::error::ClientError;
use super::secrets;
use crate::config::{CollectorSettings, Protocol, ProxyChoice, Thumbprint, TlsVersion};

/// Interval of HTTP/2 pings and TCP keep-alives, which detect a dead connection. HTTP/2 closes it
/// if a ping is not answered within `collector.timeout`.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Minimum difference between elapsed wall-clock time and elapsed monotonic time that counts as
/// sleep: a monotonic clock that stops during sleep falls behind the wall clock.
const MIN_SLEEP: Duration = Duration::from_secs(5);
/// Maximum time without requests. Firewalls and proxies may drop a connection that is idle for
/// longer.
const MAX_IDLE: Duration = Duration::from_mins(5);

/// Installs ring as the cryptography provider for TLS. Without a provider no HTTP client can be
/// created, not even one that never uses TLS.
pub fn install_crypto_provider() {
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The HTTP version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpVersion {
    /// HTTP/2 for gRPC, HTTP/1.1 for OTLP/HTTP.
    ByProtocol,
    /// Negotiated with the server.
    Negotiated,
}

/// An HTTP client that is replaced when its connections may be stale.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    settings: Arc<CollectorSettings>,
    version: HttpVersion,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Current {
    client: reqwest::Client,
    last_used: (SystemTime, Instant),
}

impl Connection {
    pub(super) fn new(settings: Arc<CollectorSettings>, version: HttpVersion) -> Result<Self, ClientError> {
        let client = build(&settings, version)?;
        let current = Current { client, last_used: (SystemTime::now(), Instant::now()) };
        Ok(Self { settings, version, current: Arc::new(Mutex::new(current)) })
    }

    /// Returns the client for one request, replaced if its connections may be stale.
    pub(super) fn client(&self) -> reqwest::Client {
        let mut current = self.current.lock();
        let now = (SystemTime::now(), Instant::now());
        let monotonic = now.1.duration_since(current.last_used.1);
        let wall_clock = now.0.duration_since(current.last_used.0).unwrap_or_default();
        current.last_used = now;
        if may_be_stale(monotonic, wall_clock) {
            self.replace_client(&mut current);
        }
        current.client.clone()
    }

    /// Replaces the client after a request without an answer, so that the next one uses a new
    /// connection.
    pub(super) fn renew(&self) {
        self.replace_client(&mut self.current.lock());
    }

    fn replace_client(&self, current: &mut Current) {
        match build(&self.settings, self.version) {
            Ok(client) => current.client = client,
            Err(error) => tracing::warn!("failed to replace the HTTP client: {error:#}; keeping the current one"),
        }
    }
}

/// Returns whether connections may have been dropped at the other end. Takes the time since the
/// last request, on the monotonic clock and on the wall clock.
fn may_be_stale(monotonic: Duration, wall_clock: Duration) -> bool {
    monotonic >= MAX_IDLE || wall_clock > monotonic + MIN_SLEEP
}

/// Builds an HTTP client from the settings.
fn build(settings: &CollectorSettings, version: HttpVersion) -> Result<reqwest::Client, ClientError> {
    install_crypto_provider();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("insights-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(settings.timeout.get())
        .tcp_keepalive(KEEP_ALIVE_INTERVAL)
        .tls_version_min(match settings.min_tls_version {
            TlsVersion::Tls12 => tls::Version::TLS_1_2,
            TlsVersion::Tls13 => tls::Version::TLS_1_3,
        });
    builder = match (version, settings.protocol) {
        (HttpVersion::ByProtocol, Protocol::Grpc) => builder
            .http2_prior_knowledge()
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .http2_keep_alive_timeout(settings.timeout.get()),
        (HttpVersion::ByProtocol, Protocol::HttpProtobuf | Protocol::HttpJson) => builder.http1_only(),
        (HttpVersion::Negotiated, _) => builder,
    };
    builder = with_proxy(builder, settings)?;
    if let Some(thumbprint) = &settings.client_certificate_thumbprint {
        return Ok(with_store_identity(builder, settings, thumbprint, version)?.build()?);
    }
    builder = with_authorities(builder, settings)?;
    if let Some(identity) = client_identity(settings)? {
        builder = builder.identity(identity);
    }
    Ok(builder.build()?)
}

fn with_proxy(builder: ClientBuilder, settings: &CollectorSettings) -> Result<ClientBuilder, ClientError> {
    match &settings.proxy.address {
        ProxyChoice::None => Ok(builder.no_proxy()),
        _ if settings.endpoint.is_loopback() => Ok(builder.no_proxy()),
        ProxyChoice::System => Ok(builder),
        ProxyChoice::Address(address) => {
            let mut proxy = Proxy::all(address.as_str())?.no_proxy(NoProxy::from_env());
            if let Some(user) = &settings.proxy.user {
                let external = settings.proxy.password_from.as_ref().map(secrets::read).transpose();
                let external = external.map_err(ClientError::ProxyPassword)?;
                let password = external.as_ref().or(settings.proxy.password.as_ref());
                proxy = proxy.basic_auth(user, password.map_or("", |password| password.reveal()));
            }
            Ok(builder.proxy(proxy))
        }
    }
}

/// Adds the client certificate from the certificate store of Windows.
#[cfg(windows)]
fn with_store_identity(
    builder: ClientBuilder,
    settings: &CollectorSettings,
    thumbprint: &Thumbprint,
    version: HttpVersion,
) -> Result<ClientBuilder, ClientError> {
    let protocols: &[&[u8]] = match (version, settings.protocol) {
        (HttpVersion::ByProtocol, Protocol::Grpc) => &[b"h2"],
        (HttpVersion::ByProtocol, Protocol::HttpProtobuf | Protocol::HttpJson) => &[b"http/1.1"],
        (HttpVersion::Negotiated, _) => &[b"h2", b"http/1.1"],
    };
    super::cert_store::with_store_identity(builder, settings, thumbprint, protocols)
}

/// Returns an error: only Windows has a certificate store.
#[cfg(not(windows))]
fn with_store_identity(
    _: ClientBuilder,
    _: &CollectorSettings,
    thumbprint: &Thumbprint,
    _: HttpVersion,
) -> Result<ClientBuilder, ClientError> {
    let help =
        "is a certificate of the Windows certificate store; on this system set collector.client_certificate to a file";
    Err(ClientError::ClientCertificate(format!("{thumbprint} {help}")))
}

fn with_authorities(builder: ClientBuilder, settings: &CollectorSettings) -> Result<ClientBuilder, ClientError> {
    let Some(file) = &settings.certificate else { return Ok(builder) };
    let problem = |problem: String| ClientError::Certificate { file: file.display().to_string(), problem };
    let pem = std::fs::read(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| problem(format!("is not a PEM file with certificates: {error}")))?;
    if certificates.is_empty() {
        return Err(problem("contains no certificate (a PEM file has lines `-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(builder.tls_certs_only(certificates))
}

/// Returns the client certificate of this machine with its private key; none if none is configured.
fn client_identity(settings: &CollectorSettings) -> Result<Option<reqwest::Identity>, ClientError> {
    let wrong = ClientError::ClientCertificate;
    let read =
        |file: &Path| std::fs::read(file).map_err(|error| wrong(format!("{} cannot be read: {error}", file.display())));
    let Some(file) = &settings.client_certificate else {
        return match &settings.client_key {
            Some(_) => Err(wrong("collector.client_key is set, but its certificate is not".to_owned())),
            None => Ok(None),
        };
    };
    let mut pem = read(file)?;
    if let Some(key) = &settings.client_key {
        pem.push(b'\n');
        pem.extend(read(key)?);
    }
    let what =
        "contains no certificate with its private key in PEM; the key can be in a separate file (collector.client_key)";
    reqwest::Identity::from_pem(&pem).map(Some).map_err(|error| wrong(format!("{} {what}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: connections are replaced after sleep, however short, and after a long time
    /// without requests; not during normal work, nor after a small correction of the clock.
    #[test]
    fn connection_after_sleep_or_long_idle_is_stale() {
        let seconds = Duration::from_secs;
        for (monotonic, wall_clock, stale) in [
            (1, 1, false),
            (290, 290, false),
            (60, 64, false),
            (60, 0, false),
            (2, 40, true),
            (2, 28_800, true),
            (300, 300, true),
        ] {
            assert_eq!(may_be_stale(seconds(monotonic), seconds(wall_clock)), stale, "{monotonic} s of {wall_clock} s");
        }
    }
}
