//! Why there was no answer, told from the chain of errors, and in words for people: what is wrong, where, what to do.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::config::Endpoint;

/// Why no collector answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there.
    #[error(
        "No program answers at {address}: the connection was refused. Start the collector there, or correct `collector.endpoint`."
    )]
    Refused {
        /// Host and port.
        address: String,
    },
    /// The host's name has no address.
    #[error("The name of the collector, {host}, cannot be found. Check `collector.endpoint`, the network and the VPN.")]
    UnknownHost {
        /// The host.
        host: String,
    },
    /// No way to the host.
    #[error("There is no way to {address} through the network. Check the network, the VPN and the firewall.")]
    Unreachable {
        /// Host and port.
        address: String,
    },
    /// No answer in time.
    #[error(
        "{address} did not answer in time (`collector.timeout`). The network or the collector is slow, or a firewall swallows the data."
    )]
    Timeout {
        /// Host and port.
        address: String,
    },
    /// The connection ended before the answer.
    #[error("{address} closed the connection before it answered.")]
    Closed {
        /// Host and port.
        address: String,
    },
    /// The certificate's time is over.
    #[error(
        "The certificate of {address} has expired. Renew it at the collector; if it is valid, correct this machine's clock."
    )]
    CertificateExpired {
        /// Host and port.
        address: String,
    },
    /// The certificate's time has not come.
    #[error("The certificate of {address} is not valid yet: most likely this machine's clock is wrong.")]
    CertificateNotYetValid {
        /// Host and port.
        address: String,
    },
    /// The certificate comes from an authority that is not trusted here.
    #[error(
        "The certificate of {address} was issued by an authority that this machine does not trust. Install the authority's certificate on this machine, or name its file in `collector.certificate`."
    )]
    UnknownIssuer {
        /// Host and port.
        address: String,
    },
    /// The certificate is for other names.
    #[error(
        "The certificate of {address} is for another name. Write the name that stands in the certificate into `collector.endpoint`."
    )]
    WrongName {
        /// Host and port.
        address: String,
    },
    /// The collector wants to know this machine by its certificate.
    #[error(
        "{address} takes only machines that it knows by their certificate, and it did not take ours. Name the file in `collector.client_certificate`; if it is named, have it renewed or accepted at the collector."
    )]
    ClientCertificate {
        /// Host and port.
        address: String,
    },
    /// Another fault of the TLS handshake.
    #[error("No secure connection to {address}: {detail}.")]
    Tls {
        /// Host and port.
        address: String,
        /// In the TLS library's words.
        detail: String,
    },
    /// `https` to a port without TLS.
    #[error("{address} does not speak TLS. Write `http://` in `collector.endpoint`, or use the collector's TLS port.")]
    NoTls {
        /// Host and port.
        address: String,
    },
    /// gRPC to a port for HTTP.
    #[error(
        "{address} does not speak gRPC. Set `collector.protocol` to `http/protobuf`, or use the collector's gRPC port (usually 4317)."
    )]
    SpeaksHttp1 {
        /// Host and port.
        address: String,
    },
    /// HTTP to a port for gRPC.
    #[error(
        "{address} does not speak HTTP/1.1; it looks like a gRPC port. Set `collector.protocol` to `grpc`, or use the collector's HTTP port (usually 4318)."
    )]
    SpeaksGrpc {
        /// Host and port.
        address: String,
    },
    /// A web page came back, as from the sign-in page of a hotel's network.
    #[error(
        "{address} answered with a web page, not as a collector. Check `collector.endpoint`; a proxy or a network's sign-in page may stand between."
    )]
    NotACollector {
        /// Host and port.
        address: String,
    },
    /// The data would go to another machine in the clear.
    #[error(
        "{address} is another machine, and data would go there without encryption. Write `https://`, or, if that is really wanted, set `collector.allow_plain_http`."
    )]
    PlainHttp {
        /// Host and port.
        address: String,
    },
    /// A header's value is not where the settings say.
    #[error("The value of the header `{header}` cannot be had: {why}. Check `collector.headers_from`.")]
    Credential {
        /// The header.
        header: String,
        /// What is wrong.
        why: String,
    },
    /// The authorization server gave no token.
    #[error("The authorization server {address} gives no token: {detail}. Check `collector.oauth2`.")]
    TokenRefused {
        /// Host and port of the authorization server.
        address: String,
        /// In its words.
        detail: String,
    },
    /// The proxy wants to know who asks.
    #[error(
        "The proxy on the way to {address} wants a user and password, others than it was given. Set `collector.proxy.user` and `collector.proxy.password`."
    )]
    ProxyCredentials {
        /// Host and port of the collector.
        address: String,
    },
    /// The proxy did not connect us.
    #[error(
        "The proxy on the way to {address} makes no connection ({detail}). Check `collector.proxy`, and whether the proxy lets us there."
    )]
    Proxy {
        /// Host and port of the collector.
        address: String,
        /// In the words of the HTTP library.
        detail: String,
    },
    /// Anything else.
    #[error("Sending to {address} failed: {detail}.")]
    Other {
        /// Host and port.
        address: String,
        /// The chain of errors.
        detail: String,
    },
}

impl Failure {
    /// Whether it will stay until somebody changes a setting or a certificate.
    #[must_use]
    pub fn is_of_settings(&self) -> bool {
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
            Self::Refused { .. }
            | Self::UnknownHost { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Proxy { .. }
            | Self::Other { .. } => false,
        }
    }

    /// Tells from an error of the HTTP client, or of reading the answer's body, what happened. `grpc` says which
    /// protocol was spoken.
    pub(super) fn of(error: &(dyn Error + 'static), host: &str, address: &str, grpc: bool) -> Self {
        let address = address.to_owned();
        let chain: Vec<&(dyn Error + 'static)> = chain(error).collect();
        if let Some(tls) = chain.iter().find_map(|error| error.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(tls, address);
        }
        let any = |test: &dyn Fn(&(dyn Error + 'static)) -> bool| chain.iter().any(|error| test(*error));
        if any(&|error| error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)) {
            return Self::Timeout { address };
        }
        let detail = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if let Some((_, of_proxy)) = detail.split_once("tunnel error: ") {
            return match of_proxy {
                "proxy authorization required" => Self::ProxyCredentials { address },
                other => Self::Proxy { address, detail: other.to_owned() },
            };
        }
        if detail.contains("dns error") {
            return Self::UnknownHost { host: host.to_owned() };
        }
        for kind in chain.iter().filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind) {
            match kind {
                io::ErrorKind::ConnectionRefused => return Self::Refused { address },
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown => {
                    return Self::Unreachable { address };
                }
                io::ErrorKind::TimedOut => return Self::Timeout { address },
                _ => {}
            }
        }
        // An HTTP/1 server answers HTTP/2's preface with text, which is no frame: h2 calls it an invalid size or a
        // protocol error.
        if grpc && (detail.contains("frame with invalid size") || detail.contains("FRAME_SIZE_ERROR")) {
            return Self::SpeaksHttp1 { address };
        }
        // An HTTP/2 server speaks first: before our request that is an unexpected message, after it no HTTP/1 answer.
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

    fn of_tls(error: &rustls::Error, address: String) -> Self {
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

/// Host and port, for messages.
pub(super) fn address(endpoint: &Endpoint) -> String {
    let url = endpoint.url();
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An error, its sources, and what an `io::Error` on the way wraps.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
