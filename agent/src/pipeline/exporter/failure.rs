//! Sentences about requests that no collector answered, for people: what is wrong, where, what to
//! do.
//!
//! [`Failure::from_error`] finds the cause in the error chain of the HTTP client.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::config::Endpoint;

/// Why no collector answered a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The connection was refused: no program listens on the port.
    #[error(
        "No program answers at {address}: the connection was refused. Start the collector there, or correct `collector.endpoint`."
    )]
    ConnectionRefused {
        /// Host and port.
        address: String,
    },
    /// The host name has no address.
    #[error(
        "The host name of the collector, {host}, cannot be resolved. Check `collector.endpoint`, the network and the VPN."
    )]
    UnknownHost {
        /// The host name.
        host: String,
    },
    /// The network has no route to the host.
    #[error("{address} cannot be reached over the network. Check the network, the VPN and the firewall.")]
    Unreachable {
        /// Host and port.
        address: String,
    },
    /// The request took longer than `collector.timeout`.
    #[error(
        "{address} did not answer in time (`collector.timeout`). The network or the collector is slow, or a firewall drops the data."
    )]
    Timeout {
        /// Host and port.
        address: String,
    },
    /// The connection was closed before the answer.
    #[error("{address} closed the connection before it answered. If this continues, check the log of the collector.")]
    Closed {
        /// Host and port.
        address: String,
    },
    /// The server certificate has expired.
    #[error(
        "The certificate of {address} has expired. Renew it at the collector. If it is still valid, correct the clock of this computer."
    )]
    CertificateExpired {
        /// Host and port.
        address: String,
    },
    /// The server certificate is not valid yet.
    #[error(
        "The certificate of {address} is not valid yet. Most likely the clock of this computer is wrong; correct it."
    )]
    CertificateNotYetValid {
        /// Host and port.
        address: String,
    },
    /// The server certificate was issued by an authority that is not trusted.
    #[error(
        "The certificate of {address} was issued by an authority that this computer does not trust. Install the authority's certificate on this computer, or set `collector.certificate` to its file."
    )]
    UnknownIssuer {
        /// Host and port.
        address: String,
    },
    /// The server certificate does not contain the host name.
    #[error(
        "The certificate of {address} was issued for a different name. Set `collector.endpoint` to a name that the certificate contains."
    )]
    WrongName {
        /// Host and port.
        address: String,
    },
    /// The collector requires a client certificate, and did not accept ours or got none.
    #[error(
        "{address} requires a client certificate that it trusts. Set `collector.client_certificate`. If it is set, renew the certificate, or make the collector trust it."
    )]
    ClientCertificate {
        /// Host and port.
        address: String,
    },
    /// The TLS handshake failed for another reason.
    #[error(
        "No secure connection to {address}: {detail}. Check the TLS settings of the collector and `collector.min_tls_version`."
    )]
    Tls {
        /// Host and port.
        address: String,
        /// The message of the TLS library.
        detail: String,
    },
    /// `https` was used for a port without TLS.
    #[error("{address} does not use TLS. Use `http://` in `collector.endpoint`, or the TLS port of the collector.")]
    NoTls {
        /// Host and port.
        address: String,
    },
    /// gRPC was sent to an HTTP/1.1 port.
    #[error(
        "{address} does not speak gRPC. Set `collector.protocol` to `http/protobuf`, or use the collector's gRPC port (usually 4317)."
    )]
    SpeaksHttp1 {
        /// Host and port.
        address: String,
    },
    /// HTTP/1.1 was sent to a gRPC port.
    #[error(
        "{address} does not speak HTTP/1.1; it looks like a gRPC port. Set `collector.protocol` to `grpc`, or use the collector's HTTP port (usually 4318)."
    )]
    SpeaksGrpc {
        /// Host and port.
        address: String,
    },
    /// The answer is a web page, such as the sign-in page of a hotel network.
    #[error(
        "{address} answered with a web page, so it is not a collector. Check `collector.endpoint`, and whether a proxy or a network sign-in page intercepts the request."
    )]
    NotACollector {
        /// Host and port.
        address: String,
    },
    /// The data would be sent to another machine unencrypted.
    #[error(
        "{address} is another computer, and the data would be sent there unencrypted. Use `https://`. To send unencrypted data anyway, set `collector.allow_plain_http`."
    )]
    PlainHttp {
        /// Host and port.
        address: String,
    },
    /// The value of a header is not available at the configured place.
    #[error("The value of the header `{header}` is not available: {why}. Check `collector.headers_from`.")]
    Credential {
        /// The header.
        header: String,
        /// Why it is not available.
        why: String,
    },
    /// The authorization server did not issue a token.
    #[error("The authorization server {address} did not issue a token: {detail}. Check `collector.oauth2`.")]
    TokenRefused {
        /// Host and port of the authorization server.
        address: String,
        /// The server's message, or what is wrong with the request.
        detail: String,
    },
    /// The proxy requires credentials, and did not accept ours or got none.
    #[error(
        "The proxy for {address} requires a user name and password, and did not accept those of the settings. Set `collector.proxy.user` and `collector.proxy.password`."
    )]
    ProxyCredentials {
        /// Host and port of the collector.
        address: String,
    },
    /// The proxy did not open a connection to the collector.
    #[error(
        "The proxy for {address} did not open a connection ({detail}). Check `collector.proxy`, and that the proxy allows connections to the collector."
    )]
    Proxy {
        /// Host and port of the collector.
        address: String,
        /// The message of the HTTP library.
        detail: String,
    },
    /// Any other cause.
    #[error("Sending to {address} failed: {detail}.")]
    Other {
        /// Host and port.
        address: String,
        /// The messages of the error chain.
        detail: String,
    },
}

impl Failure {
    /// Returns whether the failure lasts until a setting or a certificate is changed.
    #[must_use]
    pub fn is_configuration_error(&self) -> bool {
        match self {
            Self::CertificateExpired { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::UnknownIssuer { .. }
            | Self::WrongName { .. }
            | Self::ClientCertificate { .. }
            | Self::Tls { .. }
            | Self::NoTls { .. }
            | Self::SpeaksHttp1 { .. }
            | Self::SpeaksGrpc { .. }
            | Self::NotACollector { .. }
            | Self::PlainHttp { .. }
            | Self::Credential { .. }
            | Self::TokenRefused { .. }
            | Self::ProxyCredentials { .. } => true,
            Self::ConnectionRefused { .. }
            | Self::UnknownHost { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Proxy { .. }
            | Self::Other { .. } => false,
        }
    }

    /// Finds the cause of an error from the HTTP client or from reading the response body. `grpc`
    /// says which protocol was used.
    pub(super) fn from_error(error: &(dyn Error + 'static), host: &str, address: &str, grpc: bool) -> Self {
        let address = address.to_owned();
        let chain: Vec<&(dyn Error + 'static)> = chain(error).collect();
        if let Some(tls) = chain.iter().find_map(|error| error.downcast_ref::<rustls::Error>()) {
            return Self::from_tls_error(tls, address);
        }
        let any = |test: &dyn Fn(&(dyn Error + 'static)) -> bool| chain.iter().any(|error| test(*error));
        if any(&|error| error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)) {
            return Self::Timeout { address };
        }
        let detail = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if let Some((_, proxy_message)) = detail.split_once("tunnel error: ") {
            return match proxy_message {
                "proxy authorization required" => Self::ProxyCredentials { address },
                other => Self::Proxy { address, detail: other.to_owned() },
            };
        }
        if detail.contains("dns error") {
            return Self::UnknownHost { host: host.to_owned() };
        }
        for kind in chain.iter().filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind) {
            match kind {
                io::ErrorKind::ConnectionRefused => return Self::ConnectionRefused { address },
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown => {
                    return Self::Unreachable { address };
                }
                io::ErrorKind::TimedOut => return Self::Timeout { address },
                _ => {}
            }
        }
        // An HTTP/1 server answers the HTTP/2 preface with text, which is not a valid frame: h2
        // reports an invalid size or a protocol error.
        if grpc && (detail.contains("frame with invalid size") || detail.contains("FRAME_SIZE_ERROR")) {
            return Self::SpeaksHttp1 { address };
        }
        // An HTTP/2 server sends first. hyper reports that as an unexpected message if it arrives
        // before our request, and as a parse error if it arrives after.
        let not_http1 =
            |error: &(dyn Error + 'static)| error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        if !grpc && (any(&not_http1) || detail.contains("received unexpected message")) {
            return Self::SpeaksGrpc { address };
        }
        let closed = |error: &(dyn Error + 'static)| {
            error
                .downcast_ref::<hyper::Error>()
                .is_some_and(|e| e.is_incomplete_message() || e.is_closed() || e.is_canceled())
                || error.downcast_ref::<io::Error>().is_some_and(|e| {
                    matches!(
                        e.kind(),
                        io::ErrorKind::ConnectionReset
                            | io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::BrokenPipe
                            | io::ErrorKind::UnexpectedEof
                    )
                })
        };
        if any(&closed) {
            return Self::Closed { address };
        }
        Self::Other { address, detail }
    }

    fn from_tls_error(error: &rustls::Error, address: String) -> Self {
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::CertificateExpired { address }
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::CertificateNotYetValid { address }
                }
                CertificateError::UnknownIssuer => Self::UnknownIssuer { address },
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName { address }
                }
                other => Self::Tls { address, detail: other.to_string() },
            },
            rustls::Error::InvalidMessage(_) => Self::NoTls { address },
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificate { address },
            other => Self::Tls { address, detail: other.to_string() },
        }
    }
}

/// Returns host and port of an endpoint, for messages.
pub(super) fn address(endpoint: &Endpoint) -> String {
    let url = endpoint.url();
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Iterates over an error and its sources, including the errors that an `io::Error` wraps.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
