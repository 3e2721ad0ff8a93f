//! Settings of the connection to the collector.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{Endpoint, Period, ProxyChoice, Secret, SecretSource, Thumbprint};
use crate::otlp::{Compression, Signal};

/// Where data is sent, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorSettings {
    /// Address of the collector, with scheme and port: `https://host:4317`. With OTLP/HTTP the path
    /// of the signal (`/v1/metrics`, ...) is appended. If unset, `http/protobuf` and `http/json`
    /// use `http://localhost:4318`.
    #[schemars(extend("example" = "https://otel.example.com:4317"))]
    pub endpoint: Endpoint,
    /// OTLP transport.
    pub protocol: Protocol,
    /// Headers (gRPC: metadata) sent with every request, for example `authorization`. Values are
    /// masked wherever settings are shown.
    #[schemars(extend("example" = { "authorization": "Bearer put-the-token-here" }))]
    pub headers: BTreeMap<String, Secret>,
    /// Headers whose values are stored outside the settings: `env:NAME` is an environment variable,
    /// `file:PATH` a file with one line, `store:NAME` an entry of the operating system's credential
    /// store (Windows: the generic credential `insights-agent/NAME` in Credential Manager; Linux:
    /// the Secret Service entry with `service` = `insights-agent` and `username` = `NAME`). Values
    /// are read again for every request. They take precedence over `collector.headers`.
    #[schemars(extend("example" = { "x-tenant-key": "env:OTLP_TENANT_KEY" }))]
    pub headers_from: BTreeMap<String, SecretSource>,
    /// Compression of requests. Every OTLP receiver accepts `gzip`; `zstd` is smaller and faster if
    /// the collector accepts it.
    pub compression: Compression,
    /// Maximum duration of a request, including the response.
    pub timeout: Period,
    /// PEM file with the certificate authorities to trust. If unset, those of the operating system
    /// are used.
    pub certificate: Option<PathBuf>,
    /// PEM file with the client certificate of this machine and its intermediate certificates
    /// (mutual TLS).
    pub client_certificate: Option<PathBuf>,
    /// PEM file with the private key of the client certificate. Only needed if the key is not in
    /// the certificate file.
    pub client_key: Option<PathBuf>,
    /// Windows only, instead of certificate files: thumbprint of the client certificate in the
    /// store "Personal" of the user or the machine. Its private key does not have to be exportable.
    pub client_certificate_thumbprint: Option<Thumbprint>,
    /// Minimum TLS version.
    #[schemars(extend("example" = "1.3"))]
    pub min_tls_version: TlsVersion,
    /// Allows sending to other machines without encryption (`http://`). If off, data for such an
    /// address stays in the queue and the status shows the reason. Sending to this machine itself
    /// is always allowed.
    pub allow_plain_http: bool,
    /// Proxy for requests to the collector.
    pub proxy: ProxySettings,
    /// Export interval while on battery or on a metered network. Queued data is then sent together
    /// instead of immediately.
    pub saving_interval: Period,
    /// OAuth 2.0 access token, requested from an authorization server, renewed before it expires,
    /// and sent as `authorization: Bearer`.
    pub oauth2: OAuth2Settings,
    /// Differences for metrics.
    #[schemars(extend("example" =
        { "endpoint": "https://metrics.example.com/otlp/v1/metrics", "protocol": "http/protobuf" }))]
    pub metrics: DestinationSettings,
    /// Differences for traces.
    #[schemars(extend("example" = {}))]
    pub traces: DestinationSettings,
    /// Differences for logs.
    #[schemars(extend("example" = { "headers": { "x-index": "desks" } }))]
    pub logs: DestinationSettings,
    /// A second collector, used while the first one cannot be reached or temporarily accepts
    /// nothing. Used only if its `endpoint` is set.
    #[schemars(extend("example" = { "endpoint": "https://otel-2.example.com:4317" }))]
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
    /// Returns the differences for a signal.
    #[must_use]
    pub const fn overrides_for(&self, signal: Signal) -> &DestinationSettings {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    /// Returns these settings with the differences for a signal applied.
    #[must_use]
    pub fn for_signal(&self, signal: Signal) -> Self {
        self.with_overrides(self.overrides_for(signal))
    }

    /// Returns these settings with the values of `overrides` where they are set. Headers are added.
    #[must_use]
    pub fn with_overrides(&self, overrides: &DestinationSettings) -> Self {
        let mut settings = self.clone();
        let overrides = overrides.clone();
        let set = |target: &mut Option<PathBuf>, value: Option<PathBuf>| {
            if value.is_some() {
                *target = value;
            }
        };
        if let Some(endpoint) = overrides.endpoint {
            settings.endpoint = endpoint;
        }
        settings.protocol = overrides.protocol.unwrap_or(settings.protocol);
        settings.compression = overrides.compression.unwrap_or(settings.compression);
        settings.timeout = overrides.timeout.unwrap_or(settings.timeout);
        settings.headers.extend(overrides.headers);
        set(&mut settings.certificate, overrides.certificate);
        set(&mut settings.client_certificate, overrides.client_certificate);
        set(&mut settings.client_key, overrides.client_key);
        settings
    }
}

/// Differences for one destination. Values that are unset are taken from `collector`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationSettings {
    /// Like `collector.endpoint`. With OTLP/HTTP the address of a signal must be complete: no path
    /// is appended, except for `fallback`.
    pub endpoint: Option<Endpoint>,
    /// Like `collector.protocol`.
    pub protocol: Option<Protocol>,
    /// Like `collector.headers`. Both are sent; the value here takes precedence.
    pub headers: BTreeMap<String, Secret>,
    /// Like `collector.compression`.
    pub compression: Option<Compression>,
    /// Like `collector.timeout`.
    pub timeout: Option<Period>,
    /// Like `collector.certificate`.
    pub certificate: Option<PathBuf>,
    /// Like `collector.client_certificate`.
    pub client_certificate: Option<PathBuf>,
    /// Like `collector.client_key`.
    pub client_key: Option<PathBuf>,
}

/// Proxy for requests to the collector. Addresses of this machine are always reached directly.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxySettings {
    /// `system`: the proxy of the operating system, or of the environment variables `HTTPS_PROXY`,
    /// `HTTP_PROXY` and `NO_PROXY`. `none`: no proxy. Otherwise the address of a proxy, for example
    /// `http://proxy.example.com:3128`. PAC scripts are not supported.
    #[schemars(extend("example" = "http://proxy.example.com:3128"))]
    pub address: ProxyChoice,
    /// User name for a proxy that requires one.
    #[schemars(extend("example" = "desks"))]
    pub user: Option<String>,
    /// Password for the proxy.
    #[schemars(extend("example" = "put-the-password-here"))]
    pub password: Option<Secret>,
    /// Where the proxy password is stored, if not in `password`: written as in
    /// `collector.headers_from`. It is read again for every connection.
    pub password_from: Option<SecretSource>,
}

/// OAuth 2.0 access token, grant "client credentials" (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth2Settings {
    /// Token endpoint of the authorization server. If unset, no token is requested.
    #[schemars(extend("example" = "https://login.example.com/oauth2/token"))]
    pub token_url: Option<Endpoint>,
    /// Client id.
    #[schemars(extend("example" = "insights-agent"))]
    pub client_id: String,
    /// Client secret.
    pub client_secret: Option<Secret>,
    /// Where the client secret is stored, if not in `client_secret`: written as in
    /// `collector.headers_from`. It is read again for every token.
    #[schemars(extend("example" = "store:otlp-client"))]
    pub client_secret_from: Option<SecretSource>,
    /// Scopes of the token.
    #[schemars(extend("example" = ["otlp.write"]))]
    pub scopes: Vec<String>,
    /// Additional parameters of the token request, for example `audience`.
    #[schemars(extend("example" = { "audience": "https://otel.example.com" }))]
    pub parameters: BTreeMap<String, String>,
}

/// TLS versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

/// OTLP transports. The names are those of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// OTLP/HTTP with JSON bodies: larger and slower, for collectors that accept nothing else.
    #[serde(rename = "http/json")]
    HttpJson,
}

impl Protocol {
    /// Returns the name used in the settings and in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }
}
