//! Connections to a destination: how they are made, and when they are not trusted any more.
//!
//! A machine that wakes up has connections that nobody at the other end knows of. A connection is therefore made anew after
//! sleep, after a long rest, and after a request that was not answered; files of certificates are read again then, so that a
//! renewed one is found.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use reqwest::{ClientBuilder, NoProxy, Proxy, tls};

use super::error::ClientError;
use super::secrets;
use crate::config::{CollectorSettings, Protocol, ProxyChoice, Thumbprint, TlsVersion};

/// A dead connection is noticed by HTTP/2 pings after this time, and closed this much later.
const PING: Duration = Duration::from_secs(20);
/// The clock of the day has gone on by so much more than the clock of the machine's work: the machine has slept.
const SLEPT: Duration = Duration::from_secs(5);
/// A connection that nobody used for so long may have been forgotten by whatever stands between.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// Chooses ring for all of TLS. Without it no HTTP client can be made, not even one that never uses TLS.
pub fn choose_cryptography() {
    // Fails only if a provider has been chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What speaks to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// As the protocol of the settings wants it.
    Otlp,
    /// Whatever the server offers.
    Http,
}

/// Connections that are made anew when they are not trusted any more.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    settings: Arc<CollectorSettings>,
    speaks: Speaks,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug)]
struct Open {
    client: reqwest::Client,
    used: (SystemTime, Instant),
}

impl Connection {
    pub(super) fn new(settings: Arc<CollectorSettings>, speaks: Speaks) -> Result<Self, ClientError> {
        let client = build(&settings, speaks)?;
        let open = Open { client, used: (SystemTime::now(), Instant::now()) };
        Ok(Self { settings, speaks, open: Arc::new(Mutex::new(open)) })
    }

    /// The client for one request.
    pub(super) fn client(&self) -> reqwest::Client {
        let mut open = self.open.lock();
        let now = (SystemTime::now(), Instant::now());
        let worked = now.1.duration_since(open.used.1);
        let passed = now.0.duration_since(open.used.0).unwrap_or_default();
        open.used = now;
        if is_doubtful(worked, passed) {
            self.renew_in(&mut open);
        }
        open.client.clone()
    }

    /// The last request was not answered: the next one has a connection of its own.
    pub(super) fn renew(&self) {
        self.renew_in(&mut self.open.lock());
    }

    fn renew_in(&self, open: &mut Open) {
        match build(&self.settings, self.speaks) {
            Ok(client) => open.client = client,
            Err(error) => tracing::warn!(%error, "the connection stays as it was"),
        }
    }
}

/// Whether the other end may have forgotten a connection that was used last so much time of the machine's work, and of the clock of the
/// day, ago.
fn is_doubtful(worked: Duration, passed: Duration) -> bool {
    worked >= LONGEST_REST || passed > worked + SLEPT
}

fn build(settings: &CollectorSettings, speaks: Speaks) -> Result<reqwest::Client, ClientError> {
    choose_cryptography();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("insights-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(settings.timeout.get())
        .tcp_keepalive(PING)
        .tls_version_min(match settings.min_tls_version {
            TlsVersion::Tls12 => tls::Version::TLS_1_2,
            TlsVersion::Tls13 => tls::Version::TLS_1_3,
        });
    builder = match (speaks, settings.protocol) {
        (Speaks::Otlp, Protocol::Grpc) => builder
            .http2_prior_knowledge()
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(settings.timeout.get()),
        (Speaks::Otlp, Protocol::HttpProtobuf | Protocol::HttpJson) => builder.http1_only(),
        (Speaks::Http, _) => builder,
    };
    builder = through_proxy(builder, settings)?;
    if let Some(thumbprint) = &settings.client_certificate_thumbprint {
        return Ok(from_store(builder, settings, thumbprint, speaks)?.build()?);
    }
    builder = authorities(builder, settings)?;
    if let Some(identity) = identity(settings)? {
        builder = builder.identity(identity);
    }
    Ok(builder.build()?)
}

fn through_proxy(builder: ClientBuilder, settings: &CollectorSettings) -> Result<ClientBuilder, ClientError> {
    match &settings.proxy.address {
        ProxyChoice::None => Ok(builder.no_proxy()),
        _ if settings.endpoint.is_loopback() => Ok(builder.no_proxy()),
        ProxyChoice::System => Ok(builder),
        ProxyChoice::Address(address) => {
            let mut proxy = Proxy::all(address.as_str())?.no_proxy(NoProxy::from_env());
            if let Some(user) = &settings.proxy.user {
                let elsewhere = settings.proxy.password_from.as_ref().map(secrets::read).transpose();
                let elsewhere = elsewhere.map_err(ClientError::ProxyPassword)?;
                let password = elsewhere.as_ref().or(settings.proxy.password.as_ref());
                proxy = proxy.basic_auth(user, password.map_or("", |password| password.reveal()));
            }
            Ok(builder.proxy(proxy))
        }
    }
}

/// This machine's certificate out of the system's store.
#[cfg(windows)]
fn from_store(
    builder: ClientBuilder,
    settings: &CollectorSettings,
    thumbprint: &Thumbprint,
    speaks: Speaks,
) -> Result<ClientBuilder, ClientError> {
    let protocols: &[&[u8]] = match (speaks, settings.protocol) {
        (Speaks::Otlp, Protocol::Grpc) => &[b"h2"],
        (Speaks::Otlp, Protocol::HttpProtobuf | Protocol::HttpJson) => &[b"http/1.1"],
        (Speaks::Http, _) => &[b"h2", b"http/1.1"],
    };
    super::cert_store::identify(builder, settings, thumbprint, protocols)
}

/// There is no such store here.
#[cfg(not(windows))]
fn from_store(
    _: ClientBuilder,
    _: &CollectorSettings,
    thumbprint: &Thumbprint,
    _: Speaks,
) -> Result<ClientBuilder, ClientError> {
    let help = "names a certificate of Windows' store; here it is a file (collector.client_certificate)";
    Err(ClientError::ClientCertificate(format!("{thumbprint} {help}")))
}

fn authorities(builder: ClientBuilder, settings: &CollectorSettings) -> Result<ClientBuilder, ClientError> {
    let Some(file) = &settings.certificate else { return Ok(builder) };
    let problem = |problem: String| ClientError::Certificate { file: file.display().to_string(), problem };
    let pem = std::fs::read(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| problem(format!("is not a PEM file with certificates: {error}")))?;
    if certificates.is_empty() {
        return Err(problem("holds no certificate (a PEM file has lines `-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(builder.tls_certs_only(certificates))
}

/// The certificate by which the collector knows this machine.
fn identity(settings: &CollectorSettings) -> Result<Option<reqwest::Identity>, ClientError> {
    let wrong = ClientError::ClientCertificate;
    let read =
        |file: &Path| std::fs::read(file).map_err(|error| wrong(format!("{} cannot be read: {error}", file.display())));
    let Some(file) = &settings.client_certificate else {
        return match &settings.client_key {
            Some(_) => {
                Err(wrong("collector.client_key is set, and the certificate that it belongs to is not".to_owned()))
            }
            None => Ok(None),
        };
    };
    let mut pem = read(file)?;
    if let Some(key) = &settings.client_key {
        pem.push(b'\n');
        pem.extend(read(key)?);
    }
    let what =
        "holds no certificate with its private key in PEM; the key can be in a file of its own (collector.client_key)";
    reqwest::Identity::from_pem(&pem).map(Some).map_err(|error| wrong(format!("{} {what}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a connection is made anew after sleep, however short, and after a long rest; not in the course of work, nor because
    /// the clock was corrected a little.
    #[test]
    fn what_may_have_been_forgotten_is_not_used() {
        let seconds = Duration::from_secs;
        for (worked, passed, doubtful) in [
            (1, 1, false),
            (290, 290, false),
            (60, 64, false),
            (60, 0, false),
            (2, 40, true),
            (2, 28_800, true),
            (300, 300, true),
        ] {
            assert_eq!(is_doubtful(seconds(worked), seconds(passed)), doubtful, "{worked} s of {passed} s");
        }
    }
}
