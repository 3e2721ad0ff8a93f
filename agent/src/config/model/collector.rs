//! Where the data goes, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::otlp::{Compression, Signal};

use crate::config::values::{Endpoint, Period, ProxyChoice, Secret, SecretSource, Thumbprint};

/// Where the data goes, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorSettings {
    /// Address of the OTLP receiver, with scheme: `http://host:4317`. Over HTTP the signal's path (`/v1/metrics`, ...)
    /// is added to it. Where none is given, `http/protobuf` and `http/json` go to `http://localhost:4318`.
    pub endpoint: Endpoint,
    /// How OTLP is carried.
    pub protocol: Protocol,
    /// Headers (gRPC: metadata) sent with every request, for example `authorization`. Values are masked wherever they are shown.
    pub headers: BTreeMap<String, Secret>,
    /// Headers whose values stand elsewhere: `env:NAME` is a variable of the environment, `file:PATH` a file of one line,
    /// `store:NAME` an entry of the operating system's store of credentials (Windows: the generic credential
    /// `insights-agent/NAME` of the Credential Manager; Linux: the Secret Service's with `service` = `insights-agent` and
    /// `username` = `NAME`). It is read anew for every request. They win over `collector.headers`.
    pub headers_from: BTreeMap<String, SecretSource>,
    /// Compression of the requests. Every OTLP receiver takes `gzip`; `zstd` is smaller and faster where it is taken.
    pub compression: Compression,
    /// How long one request may take, its answer included.
    pub timeout: Period,
    /// PEM file with the certificate authorities to trust, instead of the operating system's.
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificate by which the collector knows this machine (mutual TLS), and those that vouch for it.
    pub client_certificate: Option<PathBuf>,
    /// PEM file with that certificate's private key, if the key is not in the same file.
    pub client_key: Option<PathBuf>,
    /// On Windows, in place of the files: thumbprint of that certificate in the store "Personal" of the user or of the machine. Its
    /// private key need not be exportable.
    pub client_certificate_thumbprint: Option<Thumbprint>,
    /// The oldest version of TLS that is spoken.
    pub min_tls_version: TlsVersion,
    /// Whether data may go to another machine without encryption, to an address with `http://`. Otherwise it stays in the queue, and
    /// the status says why. On this machine itself it may.
    pub allow_plain_http: bool,
    /// The proxy on the way.
    pub proxy: ProxySettings,
    /// On battery, and on a link that is metered, what waits is sent together, this often, instead of as soon as it is there.
    pub saving_interval: Period,
    /// A token that is fetched from an authorization server, renewed in time, and sent as `authorization: Bearer`.
    pub oauth2: OAuth2Settings,
    /// What is different for metrics.
    pub metrics: DestinationSettings,
    /// What is different for traces.
    pub traces: DestinationSettings,
    /// What is different for logs.
    pub logs: DestinationSettings,
    /// Another collector, for as long as the first one cannot be reached or takes nothing at the moment: only with an
    /// `endpoint` of its own.
    pub fallback: DestinationSettings,
}

impl Default for CollectorSettings {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::default(),
            protocol: Protocol::default(),
            headers: BTreeMap::new(),
            headers_from: BTreeMap::new(),
            compression: Compression::default(),
            timeout: Period::from_secs(10),
            certificate: None,
            client_certificate: None,
            client_key: None,
            client_certificate_thumbprint: None,
            min_tls_version: TlsVersion::default(),
            allow_plain_http: false,
            proxy: ProxySettings::default(),
            saving_interval: Period::from_secs(300),
            oauth2: OAuth2Settings::default(),
            metrics: DestinationSettings::default(),
            traces: DestinationSettings::default(),
            logs: DestinationSettings::default(),
            fallback: DestinationSettings::default(),
        }
    }
}

impl CollectorSettings {
    /// What is different for a signal.
    #[must_use]
    pub const fn different_for(&self, signal: Signal) -> &DestinationSettings {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    /// These settings as they are for a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> Self {
        self.with(self.different_for(signal))
    }

    /// These settings with what is different laid over them.
    #[must_use]
    pub fn with(&self, different: &DestinationSettings) -> Self {
        let mut settings = self.clone();
        let of = different.clone();
        let set = |place: &mut Option<PathBuf>, value: Option<PathBuf>| {
            if value.is_some() {
                *place = value;
            }
        };
        if let Some(endpoint) = of.endpoint {
            settings.endpoint = endpoint;
        }
        settings.protocol = of.protocol.unwrap_or(settings.protocol);
        settings.compression = of.compression.unwrap_or(settings.compression);
        settings.timeout = of.timeout.unwrap_or(settings.timeout);
        settings.headers.extend(of.headers);
        set(&mut settings.certificate, of.certificate);
        set(&mut settings.client_certificate, of.client_certificate);
        set(&mut settings.client_key, of.client_key);
        settings
    }
}

/// What is different for one destination; what is not set is as for all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationSettings {
    /// As `collector.endpoint`; that of a signal is, over HTTP, used as it is, without a path added.
    pub endpoint: Option<Endpoint>,
    /// As `collector.protocol`.
    pub protocol: Option<Protocol>,
    /// As `collector.headers`; those are sent as well.
    pub headers: BTreeMap<String, Secret>,
    /// As `collector.compression`.
    pub compression: Option<Compression>,
    /// As `collector.timeout`.
    pub timeout: Option<Period>,
    /// As `collector.certificate`.
    pub certificate: Option<PathBuf>,
    /// As `collector.client_certificate`.
    pub client_certificate: Option<PathBuf>,
    /// As `collector.client_key`.
    pub client_key: Option<PathBuf>,
}

/// The proxy on the way to the collector. Addresses of this machine are never asked through one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxySettings {
    /// `system`: the operating system's, or that of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. `none`: none at all. Else the address
    /// of one, as in `http://proxy.example.com:3128`. Scripts (PAC) are not run.
    pub address: ProxyChoice,
    /// Name for a proxy that wants one.
    pub user: Option<String>,
    /// The password that belongs to it.
    pub password: Option<Secret>,
    /// Where that password stands instead, as in `collector.headers_from`. It is read anew for every connection.
    pub password_from: Option<SecretSource>,
}

/// A token by OAuth 2.0, grant "client credentials" (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth2Settings {
    /// Where the token is fetched. Without it none is.
    pub token_url: Option<Endpoint>,
    /// Who asks.
    pub client_id: String,
    /// The secret that belongs to it.
    pub client_secret: Option<Secret>,
    /// Where that secret stands instead, as in `collector.headers_from`. It is read anew for every token.
    pub client_secret_from: Option<SecretSource>,
    /// What the token is for.
    pub scopes: Vec<String>,
    /// Further parameters of the request, for example `audience`.
    pub parameters: BTreeMap<String, String>,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// How OTLP is carried. The names are those of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// OTLP/HTTP with JSON bodies: larger and slower, for what takes nothing else.
    #[serde(rename = "http/json")]
    HttpJson,
}

impl Protocol {
    /// As in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }
}
